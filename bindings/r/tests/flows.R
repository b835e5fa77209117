library(diffeo)

fails <- function(words, expression) {
  said <- tryCatch({ expression; "nothing" }, error = conditionMessage)
  if (!grepl(words, said, fixed = TRUE)) stop("not '", words, "' but: ", said)
}

set.seed(1)
x <- cbind(a = rnorm(400), b = rnorm(400))
x[, "b"] <- x[, "b"] + x[, "a"]^2
start <- flow_new("maf", dim = 2, hidden = c(16, 16), dtype = "float64", seed = 3)
flow <- fit(start, x, max_epochs = 15, batch_size = 64, seed = 1, validation_fraction = 0)
stopifnot(identical(dim(flow), c(2L, 0L)), inherits(flow, "diffeo_flow"))
stopifnot(mean(log_prob(flow, x)) > mean(log_prob(start, x)) + 0.2)

# The same numbers by rows, alone or together, with threads, and for data frames.
frame <- as.data.frame(x)
expected <- log_prob(flow, x)
stopifnot(identical(expected, log_prob(flow, frame)), identical(expected, log_prob(flow, x, threads = 2)))
stopifnot(identical(expected[7], log_prob(flow, x[7, , drop = FALSE])))

# Both directions, and the density by the change of variables.
z <- to_noise(flow, x)
stopifnot(max(abs(expected - rowSums(dnorm(z, log = TRUE)) - attr(z, "log_det"))) < 1e-9)
back <- from_noise(flow, z)
stopifnot(max(abs(back - x)) < 1e-8, identical(colnames(back), c("a", "b")))
step <- 1e-5
slope <- (log_prob(flow, x + rep(c(step, 0), each = 400)) - log_prob(flow, x - rep(c(step, 0), each = 400))) / (2 * step)
gradient <- score(flow, frame)
stopifnot(is.data.frame(gradient), max(abs(gradient$a - slope)) < 1e-4 * max(1, abs(slope)))

# Samples are by their number, with the names and in the form of the data.
samples <- sample(flow, 100, seed = 5)
stopifnot(identical(dim(samples), c(100L, 2L)), identical(colnames(samples), c("a", "b")))
stopifnot(identical(samples[41:50, ], sample(flow, 10, seed = 5, first_row = 40)[1:10, ]))
stopifnot(max(abs(attr(samples, "log_prob") - log_prob(flow, samples))) < 1e-9)
stopifnot(is.data.frame(sample(fit(start, frame, max_epochs = 1), 3)))
stopifnot(identical(sort(sample(1:5)), 1:5), length(sample(10, size = 3)) == 3)

# Files and contexts.
path <- tempfile(fileext = ".h5")
flow_save(flow, path)
stopifnot(identical(log_prob(flow_load(path), x), expected))
conditional <- fit(flow_new("realnvp", dim = 2, context_dim = 1, hidden = 8), x, context = x[, "a"], weights = rep(1, 400),
                   max_epochs = 1)
stopifnot(length(log_prob(conditional, x, context = x[, "a"])) == 400, length(log_prob(conditional, x, context = 0.5)) == 400)
embedded <- flow_new("maf", dim = 2, context_dim = 1, hidden = 8, features = 3, embedding = c(16, 8))
stopifnot(grepl("3 features", paste(capture.output(print(embedded)), collapse = " "), fixed = TRUE))
embedded <- fit(embedded, x, context = x[, "a"], max_epochs = 2, validation_fraction = 0)
flow_save(embedded, path)
stopifnot(identical(log_prob(flow_load(path), x, context = 0.5), log_prob(embedded, x, context = 0.5)))
fails("embedding needs features", flow_new("maf", dim = 2, context_dim = 1, embedding = 8))
fails("features", flow_new("maf", dim = 2, context_dim = 1, features = 70000))
stopifnot(any(grepl("autoregressive", capture.output(print(flow)))))

# Columns with names are found by them, in any order; rows may be none.
turned <- x[, c("b", "a")]
stopifnot(identical(log_prob(flow, turned), expected), identical(score(flow, turned)[, "a"], score(flow, x)[, "a"]))
stopifnot(identical(to_noise(flow, as.data.frame(turned))[, "b"], to_noise(flow, x)[, "b"]))
stopifnot(identical(log_prob(flow, unname(x)), expected), identical(log_prob(flow, as.data.frame(x)[0, ]), numeric(0)))
fails("x has other columns than a, b, which this flow was trained on: b missing; c unknown",
      log_prob(flow, data.frame(a = 1, c = 2)))
fails("c unknown", log_prob(flow, cbind(x, c = 1)))
fails("a more than once", log_prob(flow, x[, c("a", "b", "a")]))
fails("b missing", fit(flow, x[, "a", drop = FALSE]))
both <- fit(flow_new("maf", dim = 1, context_dim = 2, hidden = 8), x[, "a", drop = FALSE], context = x, max_epochs = 1)
stopifnot(identical(log_prob(both, x[, "a"], context = turned), log_prob(both, x[, "a"], context = x)))
stopifnot(identical(c(sample(both, 400, context = turned)), c(sample(both, 400, context = x))))
fails("context has other columns than a, b", sample(both, 1, context = data.frame(a = 1, z = 2)))

# What is missing stays in its row; errors have the numbers.
x[3, 1] <- NA
stopifnot(identical(which(is.na(log_prob(flow, x))), 3L))
fails("row 2", fit(start, x))
fails("x has 3 columns, this flow has dim 2", log_prob(flow, matrix(0, 4, 3)))
fails("context has 2 columns, this flow has context_dim 1", log_prob(conditional, x, context = x))
fails("x has columns that are no numbers: b", log_prob(flow, data.frame(a = 1, b = "c")))
fails("nothing.h5", flow_load("nothing.h5"))
fails("there is no flow 'mad'", flow_new("mad", dim = 2))
fails("seed is -1", sample(flow, 1, seed = -1))
fails("batch_size", fit(start, frame, batch_size = 0))
fails("batch_size is 2.7, it must be a whole number", fit(start, frame, batch_size = 2.7))
fails("max_epochs is nan, it must be a whole number", fit(start, frame, max_epochs = NA))
fails("path must be one string", flow_load(NULL))
fails("kind must be one string", flow_new(character(0), dim = 2))
fails("fit has no option epochs", fit(start, frame, epochs = 3))
fails("of another session", log_prob(unserialize(serialize(flow, NULL)), x))
cat("ok\n")
