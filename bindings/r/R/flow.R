# Flows for R: matrices and data frames of n rows in, the same out. R stores matrices by columns and the library by rows:
# here they are turned round, and a matrix of dim x n of R is the batch of n rows of C.

flow_load <- function(path) flow(.Call(C_flow_load, utf8(path)))

# A flow by its name, with random weights near the identity. hidden: widths of the networks' layers. features: outputs of an
# embedding network of the context, which all layers read in its place; embedding: widths of its hidden layers.
flow_new <- function(kind = "maf", dim, context_dim = 0, transforms = NULL, hidden = NULL, bins = NULL, seed = 0,
                     dtype = "float32", features = NULL, embedding = NULL) {
  dtypes <- c(float32 = 1, float64 = 2)
  if (!dtype %in% names(dtypes)) stop("dtype is ", dtype, ", it must be float32 or float64")
  if (!is.null(embedding) && is.null(features)) stop("embedding needs features, the number of its outputs")
  options <- list(dim = dim, context_dim = context_dim, transforms = transforms, bins = bins, seed = seed,
                  dtype = dtypes[[dtype]], hidden = if (!is.null(hidden)) as.double(hidden), features = features,
                  embedding = if (!is.null(embedding)) as.double(embedding))
  flow(.Call(C_flow_new, kind, options))
}

flow_save <- function(flow, path) invisible(.Call(C_flow_save, flow$handle, utf8(path)))

# Log-densities in nats, one a row of x. context: a row for all, or one for each row of x. Columns with names are put into
# the order of those that the flow was trained on.
log_prob <- function(flow, x, context = NULL, threads = 1) {
  .Call(C_flow_log_prob, flow$handle, batch(ordered(x, flow$columns, "x")), given(flow, context), threads)
}

# The gradient of the log-density in x, n rows.
score <- function(flow, x, context = NULL, threads = 1) {
  x <- ordered(x, flow$columns, "x")
  like(x, .Call(C_flow_score, flow$handle, batch(x), given(flow, context), threads))
}

# Data to noise and back: rows, and the log-determinant of each in the attribute "log_det".
to_noise <- function(flow, x, context = NULL, threads = 1) mapped(flow, x, context, threads, TRUE)
from_noise <- function(flow, z, context = NULL, threads = 1) mapped(flow, z, context, threads, FALSE)

# R's own for all that is no flow.
sample <- function(x, ...) UseMethod("sample")
sample.default <- function(x, ...) base::sample(x, ...)

# n samples, number first_row (from 0) and on of the seed; their log-densities in the attribute "log_prob". A data frame for
# a flow that was trained on one.
sample.diffeo_flow <- function(x, n, seed = 1, first_row = 0, context = NULL, threads = 1, ...) {
  found <- .Call(C_flow_sample, x$handle, n, seed, first_row, given(x, context), threads)
  rows <- t(found[[1]])
  colnames(rows) <- x$columns
  if (x$frame) rows <- as.data.frame(rows)
  structure(rows, log_prob = found[[2]])
}

# Trains to the end and gives a new flow with the best weights. weights: one a row. Options that are NULL are the library's.
fit <- function(flow, ...) UseMethod("fit")
fit.diffeo_flow <- function(flow, x, context = NULL, weights = NULL, max_epochs = NULL, batch_size = NULL,
                            patience = NULL, learning_rate = NULL, validation_fraction = NULL, seed = 0, threads = NULL,
                            progress = FALSE, ...) {
  if (...length()) stop("fit has no option ", paste(...names(), collapse = ", "))
  options <- list(max_epochs = max_epochs, batch_size = batch_size, patience = patience, learning_rate = learning_rate,
                  validation_fraction = validation_fraction, seed = seed, threads = threads)
  weights <- if (!is.null(weights)) as.double(weights)
  x <- ordered(x, flow$columns, "x")
  trainer <- .Call(C_trainer_new, flow$handle, batch(x), given(flow, context), weights, options)
  repeat {
    epoch <- .Call(C_trainer_step, trainer)
    if (progress) message(sprintf("epoch %d: %.3f nats, held out %.3f", as.integer(epoch[1]), epoch[2], epoch[3]))
    if (epoch[4]) break
  }
  known <- if (is.null(context)) NULL else if (is.null(flow$given)) colnames(context) else flow$given
  flow(.Call(C_trainer_best, trainer), if (is.null(colnames(x))) flow$columns else colnames(x), is.data.frame(x), known)
}

# c(columns, columns of the context).
dim.diffeo_flow <- function(x) .Call(C_flow_dims, x$handle)
print.diffeo_flow <- function(x, ...) {
  cat(.Call(C_flow_describe, x$handle), "\n", sep = "")
  invisible(x)
}

# --------------------------------------------------------------------------------------------------------------- within

# columns, given: names of columns of x and of the context, NULL for none.
flow <- function(handle, columns = NULL, frame = FALSE, given = NULL) {
  structure(list(handle = handle, columns = columns, frame = frame, given = given), class = "diffeo_flow")
}

utf8 <- function(path) enc2utf8(path.expand(as.character(path)))

# The columns in the order of these, where both have names.
ordered <- function(x, columns, name) {
  found <- colnames(x)
  if (is.null(columns) || is.null(found) || identical(found, columns)) return(x)
  wrong <- list(missing = setdiff(columns, found), unknown = setdiff(found, columns),
                "more than once" = unique(found[duplicated(found)]))
  wrong <- wrong[lengths(wrong) > 0]
  if (length(wrong)) {
    stop(name, " has other columns than ", toString(columns), ", which this flow was trained on: ",
         paste(vapply(wrong, toString, ""), names(wrong), collapse = "; "), call. = FALSE)
  }
  x[, columns, drop = FALSE]
}

given <- function(flow, context) batch(ordered(context, flow$given, "context"), "context")

# Rows as the library wants them: a matrix of doubles with a row in each column. A vector is a column.
batch <- function(x, name = "x") {
  if (is.null(x)) return(NULL)
  if (is.data.frame(x)) {
    wrong <- names(x)[!vapply(x, is.numeric, TRUE)]
    if (length(wrong)) stop(name, " has columns that are no numbers: ", paste(wrong, collapse = ", "))
  }
  x <- as.matrix(x)
  if (!is.numeric(x) && length(x)) stop(name, " is no matrix of numbers")
  storage.mode(x) <- "double"
  t(x)
}

# Rows of the library, as what came in: n rows with its names.
like <- function(x, rows) {
  rows <- t(rows)
  dimnames(rows) <- dimnames(as.matrix(x))
  if (is.data.frame(x)) as.data.frame(rows) else rows
}

mapped <- function(flow, x, context, threads, forward) {
  x <- ordered(x, flow$columns, if (forward) "x" else "z")
  found <- .Call(C_flow_map, flow$handle, batch(x), given(flow, context), threads, forward)
  structure(like(x, found[[1]]), log_det = found[[2]])
}
