# Random numbers, a regression and text in R. Usage: regression.R ROUNDS
rounds <- as.integer(commandArgs(trailingOnly = TRUE)[1])
set.seed(42)
sums <- 0
for (number in seq_len(rounds)) {
  x <- rnorm(200)
  fit <- lm(y ~ x, data.frame(x = x, y = 3 * x + rnorm(200)))
  sums <- sums + sum(coef(fit))
  cat(sprintf("round %d %.9f %s\n", number, sums, paste(rev(strsplit(as.character(number), "")[[1]]), collapse = "")))
  flush(stdout())
  Sys.sleep(0.03)
  if (file.exists("enough")) break
}
cat("end", length(ls()), "\n")
