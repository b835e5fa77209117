## A flow: its file, or a new one by its name and options: dim, context_dim, transforms, bins, hidden (widths of the
## networks' layers), seed; features, outputs of an embedding network of the context, and embedding, its hidden widths.
##
##   flow = diffeo_flow ("flow.h5");  flow = diffeo_flow ("maf", struct ("dim", 2))
##   flow.dim ()
##   flow.log_prob (x)                          x: n x dim; nats, n x 1
##   flow.sample (n, seed, first_row)           n x dim; seed 1 and first_row 0 if they are not said
##   flow.fit (x, struct ("max_epochs", 10))    a new flow, the best of the training
##   flow.save (path),  flow.destroy ()
##
## log_prob, sample and fit of a conditional flow have the context as their last argument, n x context_dim or one row.
function flow = diffeo_flow (name, options)
  if (nargin == 1)
    flow = methods_of (diffeo_mex ("load", name));
  else
    flow = methods_of (diffeo_mex ("create", name, options));
  endif
endfunction

## Octave stores matrices by columns and the library by rows: x.' is the batch of C.
function flow = methods_of (handle)
  flow.handle = handle;
  flow.dim = @() diffeo_mex ("dim", handle);
  flow.log_prob = @(varargin) densities (handle, varargin{:});
  flow.sample = @(varargin) samples (handle, varargin{:});
  flow.fit = @(varargin) trained (handle, varargin{:});
  flow.save = @(path) diffeo_mex ("save", handle, path);
  flow.destroy = @() diffeo_mex ("destroy", handle);
endfunction

function x = samples (handle, n, seed = 1, first_row = 0, context = [])
  x = diffeo_mex ("sample", handle, n, seed, first_row, context.').';
endfunction

function flow = trained (handle, x, options = struct (), context = [])
  flow = methods_of (diffeo_mex ("fit", handle, x.', context.', options));
endfunction

function log_prob = densities (handle, x, context = [])
  log_prob = diffeo_mex ("log_prob", handle, x.', context.').';
endfunction
