%% Processes with mailboxes, timers, a table, a server with its client over TCP and a port in Erlang. Usage: escript actors.erl ROUNDS
-mode(compile).

main([Rounds]) ->
    Table = ets:new(seen, [ordered_set, public]),
    {ok, Listener} = gen_tcp:listen(0, [binary, {packet, line}, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Number} = inet:port(Listener),
    spawn_link(fun() -> {ok, Served} = gen_tcp:accept(Listener), serve(Served) end),
    {ok, Client} = gen_tcp:connect({127, 0, 0, 1}, Number, [binary, {packet, line}, {active, false}]),
    Port = open_port({spawn_executable, "/bin/cat"}, [{line, 100}]),
    Workers = [spawn_link(fun() -> work(Table) end) || _ <- lists:seq(1, 50)],
    round(1, list_to_integer(Rounds), Table, Client, Port, Workers).

serve(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Line} -> ok = gen_tcp:send(Socket, ["served ", Line]), serve(Socket);
        {error, closed} -> ok
    end.

work(Table) ->
    receive
        {From, Number} ->
            ets:update_counter(Table, Number rem 101, 1, {Number rem 101, 0}),
            From ! {self(), Number * Number},
            work(Table)
    end.

round(Round, Rounds, Table, Client, Port, Workers) ->
    Numbered = lists:zip(Workers, lists:seq(Round, Round + 49)),
    [Worker ! {self(), Number} || {Worker, Number} <- Numbered],
    Sum = lists:sum([receive {Worker, Square} -> Square end || {Worker, _} <- Numbered]),
    ok = gen_tcp:send(Client, io_lib:format("~b~n", [Round])),
    {ok, Served} = gen_tcp:recv(Client, 0),
    Port ! {self(), {command, io_lib:format("line ~b~n", [Round])}},
    Line = receive {Port, {data, {eol, Text}}} -> Text end,
    erlang:send_after(40, self(), {timer, Round}),
    receive {timer, Round} -> ok end,
    io:format("round ~b ~b ~s ~s ~b~n", [Round, Sum, string:trim(Served), Line, ets:info(Table, size)]),
    case Round =:= Rounds orelse filelib:is_file("enough") of
        true -> io:format("end ~p~n", [erlang:phash2(ets:tab2list(Table))]);
        false -> round(Round + 1, Rounds, Table, Client, Port, Workers)
    end.
