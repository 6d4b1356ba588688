% Matrices, cells and text in Octave. Usage: matrices.m ROUNDS
rounds = str2double(argv(){1});
rand("twister", 42);
state = eye(40);
kept = {};
for number = 1:rounds
  [state, r] = qr(state * rand(40));
  kept{end + 1} = sprintf("%d", number);
  printf("round %d %.6f %d\n", number, sum(abs(diag(r))), numel(strjoin(kept, ",")));
  fflush(stdout);
  pause(0.03);
  if exist("enough", "file")
    break;
  end
end
printf("end %.6f\n", sum(abs(state(:))));
