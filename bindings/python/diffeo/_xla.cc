// The functions of a flow as custom calls of XLA. `_xla.py` compiles this against jaxlib's headers, where it is used.
//
// A computation names its flow by a number. When XLA makes an executable of it, that gets a share of the flow, and so
// lasts longer than the Python object whose number it is.

#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "diffeo.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

void *library;           // libdiffeo, as Python has loaded it
const int32_t *threads;  // how many a call may use

// A function of it by its name in diffeo.h, and one of a pair for buffers of T.
#define LIB(name)                                                                             \
  ([] {                                                                                       \
    static const auto found = reinterpret_cast<decltype(&name)>(dlsym(library, #name));       \
    return found;                                                                             \
  }())
#define TYPED(T, name)                                                      \
  ([] {                                                                     \
    if constexpr (std::is_same_v<T, float>) return LIB(diffeo_flow_##name##_f32); \
    else return LIB(diffeo_flow_##name##_f64);                              \
  }())

ffi::Error failure(diffeo_status status) {
  auto code = ffi::ErrorCode::kInternal;
  if (status == DIFFEO_EINVAL || status == DIFFEO_ESHAPE || status == DIFFEO_ENUMERIC)
    code = ffi::ErrorCode::kInvalidArgument;
  if (status == DIFFEO_ENOMEM) code = ffi::ErrorCode::kResourceExhausted;
  if (status == DIFFEO_EUNSUPPORTED) code = ffi::ErrorCode::kUnimplemented;
  return ffi::Error(code, LIB(diffeo_last_error)());
}

// The workspace of one call. It is then kept for the next: there are as many as calls have run at once. They are never
// destroyed at exit, where threads of XLA may still be at work.
class Workspace {
 public:
  Workspace() {
    std::lock_guard hold(mutex());
    while (!handle_ && !kept().empty()) {
      handle_ = kept().back();
      kept().pop_back();
      if (LIB(diffeo_workspace_threads)(handle_) == *threads) return;
      LIB(diffeo_workspace_destroy)(handle_);  // there is another number of threads since
      handle_ = nullptr;
    }
    LIB(diffeo_workspace_create)(*threads, &handle_);  // where it fails NULL stands, which will do
  }
  ~Workspace() {
    std::lock_guard hold(mutex());
    if (handle_) kept().push_back(handle_);
  }
  Workspace(const Workspace &) = delete;
  operator diffeo_workspace *() const { return handle_; }

 private:
  static std::mutex &mutex() {
    static auto *const one = new std::mutex;
    return *one;
  }
  static std::vector<diffeo_workspace *> &kept() {
    static auto *const one = new std::vector<diffeo_workspace *>;
    return *one;
  }
  diffeo_workspace *handle_ = nullptr;
};

using Handle = std::shared_ptr<const diffeo_flow>;

// A flow as a function of its trained numbers.
class Flow {
 public:
  explicit Flow(const diffeo_flow *flow) : values_(LIB(diffeo_flow_parameter_count)(flow)) {
    std::vector<uint8_t> trained(values_.size());
    diffeo_flow *own;
    if (LIB(diffeo_flow_parameters_f64)(flow, values_.data()) != DIFFEO_OK ||
        LIB(diffeo_flow_trained_parameters)(flow, trained.data()) != DIFFEO_OK ||
        LIB(diffeo_flow_with_parameters_f64)(flow, values_.data(), &own) != DIFFEO_OK)
      throw std::bad_alloc();  // a flow that is there fails for no other reason
    for (size_t i = 0; i < trained.size(); ++i)
      if (trained[i]) trained_.push_back(i);
    architecture_ = Handle(own, LIB(diffeo_flow_destroy));
    dim = LIB(diffeo_flow_dim)(own);
    context_dim = LIB(diffeo_flow_context_dim)(own);
  }

  // With these weights. The latest is kept: a step of a training asks for it twice.
  template <typename T>
  ffi::ErrorOr<Handle> with(const T *weights) {
    std::lock_guard hold(mutex_);
    const std::string given(reinterpret_cast<const char *>(weights), trained_.size() * sizeof(T));
    if (latest_ && given == latest_weights_) return latest_;
    for (size_t i = 0; i < trained_.size(); ++i) values_[trained_[i]] = weights[i];
    diffeo_flow *made;
    const auto status = LIB(diffeo_flow_with_parameters_f64)(architecture_.get(), values_.data(), &made);
    if (status != DIFFEO_OK) return ffi::Unexpected(failure(status));
    latest_ = Handle(made, LIB(diffeo_flow_destroy));
    latest_weights_ = given;
    return latest_;
  }

  size_t parameter_count() const { return values_.size(); }
  const std::vector<size_t> &trained() const { return trained_; }

  int64_t dim, context_dim;

 private:
  std::vector<double> values_;
  std::vector<size_t> trained_;
  Handle architecture_;
  std::mutex mutex_;
  std::string latest_weights_;
  Handle latest_;
};

// Flows by number, each with how many Python objects have it.
struct Entry {
  std::shared_ptr<Flow> flow;
  int64_t uses = 0;
};
std::mutex entries_mutex;
std::map<int64_t, Entry> &entries() {
  static auto *const all = new std::map<int64_t, Entry>;
  return *all;
}

// What an executable has.
struct Share {
  inline static ffi::TypeId id = {};
  std::shared_ptr<Flow> flow;
};
const ffi::TypeInfo share_info = ffi::MakeTypeInfo<Share>();

ffi::ErrorOr<std::unique_ptr<Share>> share(ffi::Dictionary attributes) {
  const auto number = attributes.get<int64_t>("flow");
  if (!number) return ffi::Unexpected(number.error());
  std::lock_guard hold(entries_mutex);
  const auto found = entries().find(*number);
  if (found == entries().end())
    return ffi::Unexpected(ffi::Error::InvalidArgument("the diffeo.jax.Flow of this computation is gone"));
  auto made = std::make_unique<Share>();
  made->flow = found->second.flow;
  return made;
}

// A buffer under vmaps: its own axes are the last ones; each before them has the length of the batch, or 1.
struct Pieces {
  Pieces() = default;
  Pieces(const ffi::AnyBuffer &buffer, size_t own) : data(buffer.untyped_data()) {
    const auto dimensions = buffer.dimensions();
    for (size_t i = 0; i < dimensions.size(); ++i)
      if (i + own < dimensions.size()) {
        axes.push_back(dimensions[i]);
        count *= dimensions[i];
      } else {
        size *= dimensions[i];
      }
  }

  // The one for element `index` of the batch with these axes; NULL where there is no buffer.
  template <typename T>
  T *at(int64_t index, const std::vector<int64_t> &batch) const {
    int64_t piece = 0, stride = 1;
    for (size_t i = axes.size(); i-- > 0; index /= batch[i])
      if (axes[i] > 1) {
        piece += index % batch[i] * stride;
        stride *= axes[i];
      }
    return data ? static_cast<T *>(data) + piece * size : nullptr;
  }

  void *data = nullptr;
  std::vector<int64_t> axes;
  int64_t count = 1, size = 1;
};

enum Function : int64_t { kLogProb, kToNoise, kFromNoise, kSample };
enum Wanted : int64_t { kWeights = 1, kRows = 2, kContext = 4 };  // gradients

// What a call is given, and what it gives; without data where it is not wanted.
struct Call {
  Function function;
  int64_t n;
  Pieces weights, rows, context;       // rows: of a sample, the two halves of its seed
  Pieces values, logs;                 // of an evaluation; of a gradient, cotangents of them
  Pieces g_weights, g_rows, g_context;
  std::vector<int64_t> batch;          // the axes of vmaps
  int64_t batch_size = 1;
};

uint64_t seed_of(const uint32_t *halves) { return halves[0] | static_cast<uint64_t>(halves[1]) << 32; }

template <typename T>
diffeo_status evaluate(const Call &call, const diffeo_flow *flow, int64_t n, const void *rows, const T *context,
                       int64_t n_context, int64_t i, const Workspace &workspace) {
  const auto x = static_cast<const T *>(rows);
  const auto values = call.values.at<T>(i, call.batch), logs = call.logs.at<T>(i, call.batch);
  switch (call.function) {
    case kLogProb: return TYPED(T, log_prob)(flow, x, n, context, n_context, workspace, logs);
    case kToNoise: return TYPED(T, to_noise)(flow, x, n, context, n_context, workspace, values, logs);
    case kFromNoise: return TYPED(T, from_noise)(flow, x, n, context, n_context, workspace, values, logs);
    case kSample:
      return TYPED(T, sample)(flow, seed_of(static_cast<const uint32_t *>(rows)), 0, n, context, n_context, workspace,
                              values, logs);
  }
  return DIFFEO_EINTERNAL;
}

template <typename T>
diffeo_status differentiate(const Call &call, const diffeo_flow *flow, int64_t n, const void *rows, const T *context,
                            int64_t n_context, int64_t i, const Workspace &workspace, T *g_parameters) {
  const auto x = static_cast<const T *>(rows);
  const auto g_values = call.values.at<const T>(i, call.batch), g_logs = call.logs.at<const T>(i, call.batch);
  const auto g_rows = call.g_rows.at<T>(i, call.batch), g_context = call.g_context.at<T>(i, call.batch);
  switch (call.function) {
    case kLogProb:
      return TYPED(T, log_prob_vjp)(flow, x, n, context, n_context, g_logs, workspace, nullptr, g_rows, g_context,
                                    g_parameters);
    case kToNoise:
      return TYPED(T, to_noise_vjp)(flow, x, n, context, n_context, g_values, g_logs, workspace, nullptr, nullptr,
                                    g_rows, g_context, g_parameters);
    case kFromNoise:
      return TYPED(T, from_noise_vjp)(flow, x, n, context, n_context, g_values, g_logs, workspace, nullptr, nullptr,
                                      g_rows, g_context, g_parameters);
    case kSample:
      return TYPED(T, sample_vjp)(flow, seed_of(static_cast<const uint32_t *>(rows)), 0, n, context, n_context,
                                  g_values, g_logs, workspace, nullptr, nullptr, g_context, g_parameters);
  }
  return DIFFEO_EINTERNAL;
}

// All elements of the batch: in one call, where they are rows under the same weights, else one after the other.
template <typename T>
ffi::Error run(Call &call, Flow &flow, bool gradient) {
  const auto complete = [&](const Pieces &pieces) { return !pieces.data || pieces.count == call.batch_size; };
  int64_t n = call.n, calls = call.batch_size;
  if (call.function != kSample && call.weights.count == 1 && !call.g_weights.data && complete(call.rows) &&
      (flow.context_dim == 0 || complete(call.context)) && complete(call.values) && complete(call.logs)) {
    n *= calls;
    calls = 1;
  }
  const int64_t n_context = flow.context_dim ? n : 0;
  const Workspace workspace;
  std::vector<T> g_parameters;
  for (int64_t i = 0; i < calls; ++i) {
    if (call.g_weights.data) g_parameters.assign(flow.parameter_count(), 0);
    if (n > 0) {
      const auto handle = flow.with(call.weights.at<const T>(i, call.batch));
      if (!handle) return handle.error();
      const void *rows = call.rows.at<const T>(i, call.batch);
      if (call.function == kSample) rows = call.rows.at<const uint32_t>(i, call.batch);
      const T *context = flow.context_dim ? call.context.at<const T>(i, call.batch) : nullptr;
      const auto status =
          gradient ? differentiate<T>(call, handle->get(), n, rows, context, n_context, i, workspace,
                                      call.g_weights.data ? g_parameters.data() : nullptr)
                   : evaluate<T>(call, handle->get(), n, rows, context, n_context, i, workspace);
      if (status != DIFFEO_OK) return failure(status);
    }
    if (T *const g_weights = call.g_weights.at<T>(i, call.batch))
      for (size_t k = 0; k < flow.trained().size(); ++k) g_weights[k] = g_parameters[flow.trained()[k]];
  }
  return ffi::Error::Success();
}

ffi::Error run_typed(Call &call, ffi::DataType type, Share *share, bool gradient) try {
  if (type == ffi::F32) return run<float>(call, *share->flow, gradient);
  return run<double>(call, *share->flow, gradient);
} catch (const std::bad_alloc &) {
  return ffi::Error(ffi::ErrorCode::kResourceExhausted, "memory for a call of diffeo could not be had");
}

Call given(int64_t function, int64_t n, const ffi::AnyBuffer &weights, const ffi::AnyBuffer &rows,
           const ffi::AnyBuffer &context) {
  Call call;
  call.function = static_cast<Function>(function);
  call.n = n;
  call.weights = Pieces(weights, 1);
  call.rows = Pieces(rows, function == kSample ? 1 : 2);
  call.context = Pieces(context, 2);
  return call;
}

// Results: values, but for log_prob, and logs.
ffi::Error evaluation(Share *share, int64_t, int64_t function, int64_t n, ffi::AnyBuffer weights, ffi::AnyBuffer rows,
                      ffi::AnyBuffer context, ffi::RemainingRets results) {
  Call call = given(function, n, weights, rows, context);
  if (function != kLogProb) call.values = Pieces(**results.get<ffi::AnyBuffer>(0), 2);
  call.logs = Pieces(**results.get<ffi::AnyBuffer>(function == kLogProb ? 0 : 1), 1);
  call.batch = call.logs.axes;
  call.batch_size = call.logs.count;
  return run_typed(call, weights.element_type(), share, false);
}

// Cotangents: of values and of logs, those that `cotangents` has (1 and 2). Results: the gradients that are wanted.
ffi::Error derivative(Share *share, int64_t, int64_t function, int64_t n, int64_t cotangents, int64_t wanted,
                      ffi::AnyBuffer weights, ffi::AnyBuffer rows, ffi::AnyBuffer context, ffi::RemainingArgs rest,
                      ffi::RemainingRets results) {
  Call call = given(function, n, weights, rows, context);
  size_t next = 0;
  if (cotangents & 1) call.values = Pieces(*rest.get<ffi::AnyBuffer>(next++), 2);
  if (cotangents & 2) call.logs = Pieces(*rest.get<ffi::AnyBuffer>(next++), 1);
  next = 0;
  const auto result = [&](size_t own) {
    const Pieces made(**results.get<ffi::AnyBuffer>(next++), own);
    call.batch = made.axes;
    call.batch_size = made.count;
    return made;
  };
  if (wanted & kWeights) call.g_weights = result(1);
  if (wanted & kRows) call.g_rows = result(2);
  if (wanted & kContext) call.g_context = result(2);
  return run_typed(call, weights.element_type(), share, true);
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(diffeo_xla_share, share, ffi::Ffi::BindInstantiate().Attrs());

XLA_FFI_DEFINE_HANDLER_SYMBOL(diffeo_xla_evaluation, evaluation,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::State<Share>>()
                                  .Attr<int64_t>("flow")
                                  .Attr<int64_t>("function")
                                  .Attr<int64_t>("n")
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .RemainingRets());

XLA_FFI_DEFINE_HANDLER_SYMBOL(diffeo_xla_derivative, derivative,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::State<Share>>()
                                  .Attr<int64_t>("flow")
                                  .Attr<int64_t>("function")
                                  .Attr<int64_t>("n")
                                  .Attr<int64_t>("cotangents")
                                  .Attr<int64_t>("wanted")
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .RemainingArgs()
                                  .RemainingRets());

// For Python, before all others: the handle of the loaded libdiffeo, and where the number of threads stands.
extern "C" DIFFEO_API void diffeo_xla_open(void *handle, const int32_t *number) {
  library = handle;
  threads = number;
}

// What XLA has to know of the type of a share.
extern "C" DIFFEO_API void *diffeo_xla_share_id() { return &Share::id; }
extern "C" DIFFEO_API const void *diffeo_xla_share_info() { return &share_info; }

// One more, and one less, Python object with the flow of this number. 0: done; else there was no memory.
extern "C" DIFFEO_API int32_t diffeo_xla_add(int64_t number, const diffeo_flow *flow) try {
  std::lock_guard hold(entries_mutex);
  Entry &entry = entries()[number];
  if (!entry.flow) entry.flow = std::make_shared<Flow>(flow);
  ++entry.uses;
  return 0;
} catch (const std::bad_alloc &) {
  return 1;
}
extern "C" DIFFEO_API void diffeo_xla_remove(int64_t number) {
  std::lock_guard hold(entries_mutex);
  const auto found = entries().find(number);
  if (found != entries().end() && --found->second.uses == 0) entries().erase(found);
}
