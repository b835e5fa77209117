-- Trains a flow, saves it, loads it and samples: luajit flows.lua FOLDER
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local ffi, diffeo = require "ffi", require "diffeo"

local function check(status)
  if status ~= diffeo.DIFFEO_OK then error(ffi.string(diffeo.diffeo_last_error()), 2) end
end

-- The handle that make(out) makes, ended when it is collected.
local function made(kind, destroy, make)
  local out = ffi.new(kind .. "*[1]")
  check(make(out))
  return ffi.gc(out[0], destroy)
end

local function options(kind)
  local filled = ffi.new(kind)
  check(diffeo[kind .. "_init"](filled, ffi.sizeof(filled)))
  return filled
end

local function flow(make) return made("diffeo_flow", diffeo.diffeo_flow_destroy, make) end

local folder, n, dim = arg[1] or ".", 400, 2
local x = ffi.new("double[?]", n * dim)
for i = 0, n - 1 do x[2 * i], x[2 * i + 1] = math.sin(0.37 * i), math.cos(1.1 * i) + 0.1 * i / n end

local architecture, network = options "diffeo_architecture_options", options "diffeo_network_options"
local hidden = ffi.new("int64_t[2]", 16, 16)
network.hidden, network.hidden_count = hidden, 2
architecture.dim, architecture.transforms, architecture.network = dim, 2, network
local start = flow(function(out) return diffeo.diffeo_maf_create(architecture, out) end)

local training = options "diffeo_train_options"
training.max_epochs, training.batch_size = 5, 64
local report = ffi.new("diffeo_train_report", { struct_size = ffi.sizeof "diffeo_train_report" })
local trained = flow(function(out)
  return diffeo.diffeo_fit_f64(start, training, x, n, nil, 0, nil, nil, nil, out, report)
end)
assert(report.epoch == 5)

local function mean(of)
  local log_prob, sum = ffi.new("double[?]", n), 0
  check(diffeo.diffeo_flow_log_prob_f64(of, x, n, nil, 0, nil, log_prob))
  for i = 0, n - 1 do sum = sum + log_prob[i] end
  return sum / n
end
assert(mean(trained) > mean(start))

local path = folder .. "/flow-lua.h5"
check(diffeo.diffeo_flow_save(trained, path))
local loaded = flow(function(out) return diffeo.diffeo_flow_load(path, out) end)
assert(mean(loaded) == mean(trained))

local samples = ffi.new("double[?]", 3 * dim)
check(diffeo.diffeo_flow_sample_f64(loaded, 1, 0, 3, nil, 0, nil, samples, nil))
for i = 0, 2 do print(samples[2 * i], samples[2 * i + 1]) end

local fine, message = pcall(function()
  flow(function(out) return diffeo.diffeo_flow_load("nothing.h5", out) end)
end)
assert(not fine and message:find("nothing.h5", 1, true), message)
print "ok"
