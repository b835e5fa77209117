## Trains a flow, saves it, loads it and samples: octave flows.m FOLDER
1;
function fails (words, f)
  try
    f ();
  catch said
    assert (! isempty (strfind (said.message, words)), said.message);
    return;
  end_try_catch
  error ("no error: %s", words);
endfunction

arguments = argv ();
i = (0:399)';
x = [sin(0.37 * i), cos(1.1 * i) + 0.1 * i / 400];
start = diffeo_flow ("maf", struct ("dim", 2, "transforms", 2, "seed", 3));
trained = start.fit (x, struct ("max_epochs", 5, "batch_size", 64));
expected = trained.log_prob (x);
assert (size (expected), [400, 1]);
assert (mean (expected) > mean (start.log_prob (x)));
assert (trained.log_prob (x(7,:)), expected(7));

path = [arguments{end} "/flow-octave.h5"];
trained.save (path);
loaded = diffeo_flow (path);
assert (loaded.log_prob (x), expected);
samples = loaded.sample (50, 5);
assert (size (samples), [50, 2]);
assert (samples(41:50,:), loaded.sample (10, 5, 40));

conditional = diffeo_flow ("realnvp", struct ("dim", 2, "context_dim", 1));
conditional = conditional.fit (x, struct ("max_epochs", 1), i / 400);
assert (size (conditional.log_prob (x, 0.5)), [400, 1]);
assert (size (conditional.sample (3, 1, 0, 0.5)), [3, 2]);

embedded = diffeo_flow ("maf", struct ("dim", 2, "context_dim", 1, "hidden", [16, 8], "features", 3, "embedding", 8));
embedded = embedded.fit (x, struct ("max_epochs", 1), i / 400);
embedded.save (path);
assert (diffeo_flow (path).log_prob (x, 0.5), embedded.log_prob (x, 0.5));
fails ("features", @() diffeo_flow ("maf", struct ("dim", 2, "context_dim", 1, "features", 70000)));
fails ("hidden must be widths of layers", @() diffeo_flow ("maf", struct ("dim", 2, "hidden", "wide")));

fails ("x has 3 columns, this flow has dim 2", @() trained.log_prob (ones (4, 3)));
fails ("context has 2 columns, this flow has context_dim 1", @() conditional.log_prob (x, x));
fails ("x is no matrix of real numbers", @() trained.log_prob ("text"));
fails ("nothing.h5", @() diffeo_flow ("nothing.h5"));
fails ("there is no flow 'mad'", @() diffeo_flow ("mad", struct ("dim", 2)));
fails ("batch_size", @() start.fit (x, struct ("batch_size", 0)));
fails ("there is no option 'max_epoch'", @() start.fit (x, struct ("max_epoch", 1)));
fails ("there is no option 'widths'", @() diffeo_flow ("maf", struct ("dim", 2, "widths", 8)));
fails ("seed must be a whole number", @() start.fit (x, struct ("seed", -1)));
fails ("threads", @() start.fit (x, struct ("threads", 2^32 + 1)));
fails ("learning_rate must be a number", @() start.fit (x, struct ("learning_rate", "fast")));
fails ("options are no struct", @() start.fit (x, 3));
fails ("n must be a whole number", @() trained.sample (-1));
trained.destroy ();
fails ("this is no flow, or one that was destroyed", @() trained.dim ());
disp ("ok");
