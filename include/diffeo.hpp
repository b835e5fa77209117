/* diffeo.hpp - diffeo.h for C++17: handles that end themselves, errors as exceptions, sizes that are checked.
 *
 *     const diffeo::flow flow = diffeo::flow::load("flow.h5");
 *     std::vector<float> x(100 * flow.dim()), log_prob(100);
 *     flow.sample(1, x);               // seed 1, as many rows as there is room for
 *     flow.log_prob(x, log_prob);
 *
 * What the functions mean, their ranges and the rules for threads are in diffeo.h; here is what C++ adds.
 *
 * Handles   flow, spec, workspace, trainer, rows, vi and optimizer own one of C: moved and not copied, ended by their
 *           destructor. get() is the handle for functions of diffeo.h that have no method; release() gives it away.
 * Errors    are thrown: diffeo::error, with the status of diffeo.h and its sentence. Sizes are checked here, as views
 *           know them. There is no form without exceptions: use diffeo.h there.
 * Views     Batches are views of numbers of yours: std::vector, std::array, arrays, std::span, matrices of Eigen, whatever
 *           has data() and size(), or view<const float>(pointer, size). float or double, by the type of the first one; the
 *           others have the same. Rows are row-major, [n, dim], and n follows from the size. A matrix of Eigen with
 *           columns one after the other (its default) has a row of the batch in each *column*: dim x n. Stored by rows
 *           it is n x dim. Any other shape, or one with gaps, is refused. The empty view {} is NULL: none.
 * Memory    Evaluation writes to where you say, and allocates nothing after the first call with a workspace.
 * Options   are structs, filled with the defaults of the library, with the names of diffeo.h. Either
 *               diffeo::train_options().set_max_epochs(20).set_batch_size(128)
 *           or, with C++20, diffeo::train_options{.batch_size = 128, .max_epochs = 20}.
 */
#ifndef DIFFEO_HPP
#define DIFFEO_HPP

#include <diffeo.h>

#if !defined(__cpp_exceptions)
#error "diffeo.hpp tells errors by exceptions: without them use diffeo.h"
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace diffeo {

/* ------------------------------------------------------------------------------------------------------ Errors */

class DIFFEO_API error : public std::runtime_error {
 public:
  error(diffeo_status status, const std::string &what) : std::runtime_error(what), status_(status) {}
  /* DIFFEO_EINVAL and so on. */
  diffeo_status status() const noexcept { return status_; }

 private:
  diffeo_status status_;
};

/* Throws what the latest failed call of this thread said, if this is a failure. For calls of diffeo.h. */
inline void check(diffeo_status status) {
  if (status != DIFFEO_OK) throw error(status, diffeo_last_error());
}

/* ------------------------------------------------------------------------------------------------------- Views */

namespace detail {

inline std::string number(std::size_t value) { return std::to_string(value); }

/* How many numbers of a container lie in one of its rows, 0 where it has none. Of Eigen's, which have no gaps then. */
template <class C, class = void>
struct width_of {
  static std::size_t in(const C &) { return 0; }
};
template <class C>
struct width_of<C, std::void_t<decltype(std::declval<const C &>().outerStride()),
                               decltype(std::declval<const C &>().innerStride()), decltype(bool(C::IsRowMajor)),
                               decltype(bool(C::IsVectorAtCompileTime))>> {
  static std::size_t in(const C &matrix) {
    const auto inner = C::IsRowMajor ? matrix.cols() : matrix.rows();
    const auto outer = C::IsRowMajor ? matrix.rows() : matrix.cols();
    const bool dense = (inner <= 1 || matrix.innerStride() == 1) && (outer <= 1 || matrix.outerStride() == inner);
    if (!dense)
      throw error(DIFFEO_EINVAL, "a matrix of " + number(std::size_t(matrix.rows())) + " x " +
                                     number(std::size_t(matrix.cols())) + " has gaps between its numbers: copy it first");
    return C::IsVectorAtCompileTime ? 0 : std::size_t(inner);
  }
};

} // namespace detail

/* Numbers of somebody else's, one after the other: a pointer and how many. T is const where they are only read. */
template <class T>
class view {
  template <class U>
  using if_fits = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>;

 public:
  using element_type = T;

  constexpr view() = default;
  constexpr view(T *data, std::size_t size) : data_(data), size_(size) {}
  template <class U, std::size_t n, class = if_fits<U>>
  constexpr view(U (&array)[n]) : data_(array), size_(n) {}
  template <class U, std::size_t n, std::size_t width, class = if_fits<U>>
  constexpr view(U (&array)[n][width]) : data_(array[0]), size_(n * width), width_(width) {}
  /* What has data() and size(). */
  template <class C, class U = std::remove_pointer_t<decltype(std::declval<C &>().data())>,
            class = decltype(std::size_t(std::declval<C &>().size())), class = if_fits<U>,
            class = std::enable_if_t<!std::is_same_v<std::decay_t<C>, view>>>
  view(C &&container)
      : data_(container.data()), size_(std::size_t(container.size())),
        width_(detail::width_of<std::decay_t<C>>::in(container)) {}
  template <class U, class = if_fits<U>>
  constexpr view(const view<U> &other) : data_(other.data()), size_(other.size()), width_(other.width()) {}

  constexpr T *data() const { return data_; }
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  /* Of a row, where what is viewed has rows; else 0. */
  constexpr std::size_t width() const { return width_; }
  constexpr T &operator[](std::size_t i) const { return data_[i]; }
  constexpr T *begin() const { return data_; }
  constexpr T *end() const { return data_ + size_; }

 private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t width_ = 0;
};

template <class U, std::size_t n>
view(U (&)[n]) -> view<U>;
template <class U, std::size_t n, std::size_t width>
view(U (&)[n][width]) -> view<U>;
template <class C, class U = std::remove_pointer_t<decltype(std::declval<C &>().data())>>
view(C &&) -> view<U>;

namespace detail {

/* float or double: what is in X. */
template <class X>
using scalar = std::remove_const_t<typename decltype(view(std::declval<X>()))::element_type>;

/* Views of the type that another argument has: T is not deduced from them, so whatever converts to a view will do. */
template <class T>
struct same {
  using type = T;
};
template <class T>
using in = view<const typename same<T>::type>;
template <class T>
using out = view<typename same<T>::type>;

/* Of two functions of diffeo.h the one for buffers of T. */
template <class T, class F, class D>
constexpr auto by_type(F f32, D f64) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "buffers are of float or double");
  if constexpr (std::is_same_v<T, float>)
    return f32;
  else
    return f64;
}

template <class T>
void expect(const char *name, view<T> values, std::size_t size) {
  if (values.size() != size)
    throw error(DIFFEO_ESHAPE,
                std::string(name) + " has " + number(values.size()) + " values, " + number(size) + " are needed");
}

/* The same of a result that need not be wanted. */
template <class T>
void expect_or_none(const char *name, view<T> values, std::size_t size) {
  if (!values.empty()) expect(name, values, size);
}

/* n of a batch [n, columns]. of: such as "this flow has dim". */
template <class T>
std::int64_t rows(const char *name, view<T> values, std::int64_t columns, const char *of) {
  const auto width = std::size_t(columns);
  if (width == 0) {
    if (values.empty()) return 0;
    throw error(DIFFEO_ESHAPE,
                std::string(name) + " has " + number(values.size()) + " values, " + of + " " + number(width));
  }
  if (values.width() != 0 && values.width() != width)
    throw error(DIFFEO_ESHAPE, std::string(name) + " has rows of " + number(values.width()) + " values, " + of + " " +
                                   number(width));
  if (values.size() % width != 0)
    throw error(DIFFEO_ESHAPE, std::string(name) + " has " + number(values.size()) +
                                   " values, which are no whole rows: " + of + " " + number(width));
  return std::int64_t(values.size() / width);
}

/* A string for C, which has no 0 inside. */
inline const char *c_string(const char *name, const std::string &text) {
  if (text.find('\0') != std::string::npos)
    throw error(DIFFEO_EINVAL, std::string(name) + " has a character 0 inside");
  return text.c_str();
}

/* What a function writes that works as snprintf: write(text, capacity, &length). */
template <class Write>
std::string text(Write write) {
  std::size_t length = 0;
  check(write(nullptr, std::size_t(0), &length));
  std::string all(length + 1, '\0');
  check(write(&all[0], all.size(), &length));
  all.resize(length);
  return all;
}

/* Ends what it holds. */
template <class C, void (*destroy)(C *)>
class handle {
 public:
  C *get() const noexcept { return pointer_.get(); }
  /* From here on it is yours. */
  C *release() noexcept { return pointer_.release(); }
  explicit operator bool() const noexcept { return pointer_ != nullptr; }

 protected:
  explicit handle(C *pointer) : pointer_(pointer) {}

 private:
  struct end {
    void operator()(C *pointer) const noexcept { destroy(pointer); }
  };
  std::unique_ptr<C, end> pointer_;
};

/* The handle that make(&handle) makes. */
template <class C, class Make>
C *made(Make make) {
  C *pointer = nullptr;
  check(make(&pointer));
  return pointer;
}

/* A report, empty. */
template <class C>
C sized() {
  C values{};
  values.struct_size = sizeof values;
  return values;
}

/* What the options of the library are, unless told otherwise. */
template <class C, diffeo_status (*init)(C *, std::size_t)>
const C &defaults() {
  static const C values = [] {
    C initialised;
    check(init(&initialised, sizeof initialised));
    return initialised;
  }();
  return values;
}

/* An array of options: where there is one it is not NULL, though it be empty. */
template <class T>
const T *array(const std::optional<std::vector<T>> &values) {
  static const T none{};
  if (!values) return nullptr;
  return values->empty() ? &none : values->data();
}
template <class T>
std::int64_t count(const std::optional<std::vector<T>> &values) {
  return values ? std::int64_t(values->size()) : 0;
}
/* One that has to have a number for each column, or channel. */
template <class T>
void expect(const char *name, const std::optional<std::vector<T>> &values, std::int64_t size) {
  if (values) expect(name, view<const T>(*values), std::size_t(size));
}

} // namespace detail

/* ----------------------------------------------------------------------------------------------------- Options
 *
 * The structs of diffeo.h by the names that they have there, without diffeo_. What is a pointer there is optional here. */

// Written by scripts/generate-interface:
/* diffeo_network_options */
struct network_options {
  static const diffeo_network_options &defaults() {
    return detail::defaults<diffeo_network_options, diffeo_network_options_init>();
  }

  std::optional<std::vector<std::int64_t>> hidden{};
  std::int32_t activation = defaults().activation;
  std::int32_t blocks = defaults().blocks;
  std::int32_t context_mode = defaults().context_mode;
  std::int32_t normalized = defaults().normalized;
  double dropout = defaults().dropout;
  double layer_norm_epsilon = defaults().layer_norm_epsilon;

  network_options &set_hidden(std::vector<std::int64_t> value) { hidden = std::move(value); return *this; }
  network_options &set_activation(std::int32_t value) { activation = value; return *this; }
  network_options &set_blocks(std::int32_t value) { blocks = value; return *this; }
  network_options &set_context_mode(std::int32_t value) { context_mode = value; return *this; }
  network_options &set_normalized(std::int32_t value) { normalized = value; return *this; }
  network_options &set_dropout(double value) { dropout = value; return *this; }
  network_options &set_layer_norm_epsilon(double value) { layer_norm_epsilon = value; return *this; }

  class in_c {
   public:
    explicit in_c(const network_options &from) {
      c_.hidden = detail::array(from.hidden);
      c_.hidden_count = detail::count(from.hidden);
      c_.activation = from.activation;
      c_.blocks = from.blocks;
      c_.context_mode = from.context_mode;
      c_.normalized = from.normalized;
      c_.dropout = from.dropout;
      c_.layer_norm_epsilon = from.layer_norm_epsilon;
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_network_options *get() const { return &c_; }

   private:
    diffeo_network_options c_ = defaults();
  };
};

/* diffeo_spline_options */
struct spline_options {
  static const diffeo_spline_options &defaults() {
    return detail::defaults<diffeo_spline_options, diffeo_spline_options_init>();
  }

  std::int64_t bins = defaults().bins;
  double low = defaults().low;
  double high = defaults().high;
  double min_width = defaults().min_width;
  double min_height = defaults().min_height;
  double min_derivative = defaults().min_derivative;
  std::int32_t boundary = defaults().boundary;
  std::int32_t derivative = defaults().derivative;
  double logit_bound = defaults().logit_bound;
  double derivative_bound = defaults().derivative_bound;
  double boundary_derivative = defaults().boundary_derivative;
  std::int32_t half_ends = defaults().half_ends;
  std::int32_t encoding = defaults().encoding;
  double min_lambda = defaults().min_lambda;

  spline_options &set_bins(std::int64_t value) { bins = value; return *this; }
  spline_options &set_low(double value) { low = value; return *this; }
  spline_options &set_high(double value) { high = value; return *this; }
  spline_options &set_min_width(double value) { min_width = value; return *this; }
  spline_options &set_min_height(double value) { min_height = value; return *this; }
  spline_options &set_min_derivative(double value) { min_derivative = value; return *this; }
  spline_options &set_boundary(std::int32_t value) { boundary = value; return *this; }
  spline_options &set_derivative(std::int32_t value) { derivative = value; return *this; }
  spline_options &set_logit_bound(double value) { logit_bound = value; return *this; }
  spline_options &set_derivative_bound(double value) { derivative_bound = value; return *this; }
  spline_options &set_boundary_derivative(double value) { boundary_derivative = value; return *this; }
  spline_options &set_half_ends(std::int32_t value) { half_ends = value; return *this; }
  spline_options &set_encoding(std::int32_t value) { encoding = value; return *this; }
  spline_options &set_min_lambda(double value) { min_lambda = value; return *this; }

  class in_c {
   public:
    explicit in_c(const spline_options &from) {
      c_.bins = from.bins;
      c_.low = from.low;
      c_.high = from.high;
      c_.min_width = from.min_width;
      c_.min_height = from.min_height;
      c_.min_derivative = from.min_derivative;
      c_.boundary = from.boundary;
      c_.derivative = from.derivative;
      c_.logit_bound = from.logit_bound;
      c_.derivative_bound = from.derivative_bound;
      c_.boundary_derivative = from.boundary_derivative;
      c_.half_ends = from.half_ends;
      c_.encoding = from.encoding;
      c_.min_lambda = from.min_lambda;
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_spline_options *get() const { return &c_; }

   private:
    diffeo_spline_options c_ = defaults();
  };
};

/* diffeo_mixture_options */
struct mixture_options {
  static const diffeo_mixture_options &defaults() {
    return detail::defaults<diffeo_mixture_options, diffeo_mixture_options_init>();
  }

  std::int64_t components = defaults().components;
  std::int32_t family = defaults().family;
  std::int32_t target = defaults().target;
  double scale_bound = defaults().scale_bound;
  std::int32_t scale = defaults().scale;
  double scale_epsilon = defaults().scale_epsilon;

  mixture_options &set_components(std::int64_t value) { components = value; return *this; }
  mixture_options &set_family(std::int32_t value) { family = value; return *this; }
  mixture_options &set_target(std::int32_t value) { target = value; return *this; }
  mixture_options &set_scale_bound(double value) { scale_bound = value; return *this; }
  mixture_options &set_scale(std::int32_t value) { scale = value; return *this; }
  mixture_options &set_scale_epsilon(double value) { scale_epsilon = value; return *this; }

  class in_c {
   public:
    explicit in_c(const mixture_options &from) {
      c_.components = from.components;
      c_.family = from.family;
      c_.target = from.target;
      c_.scale_bound = from.scale_bound;
      c_.scale = from.scale;
      c_.scale_epsilon = from.scale_epsilon;
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_mixture_options *get() const { return &c_; }

   private:
    diffeo_mixture_options c_ = defaults();
  };
};

/* diffeo_map_options */
struct map_options {
  static const diffeo_map_options &defaults() {
    return detail::defaults<diffeo_map_options, diffeo_map_options_init>();
  }

  std::int32_t map = defaults().map;
  std::int32_t scale = defaults().scale;
  double scale_bound = defaults().scale_bound;
  double scale_epsilon = defaults().scale_epsilon;
  double log_scale_low = defaults().log_scale_low;
  double log_scale_high = defaults().log_scale_high;
  std::optional<spline_options> spline{};
  std::optional<mixture_options> mixture{};

  map_options &set_map(std::int32_t value) { map = value; return *this; }
  map_options &set_scale(std::int32_t value) { scale = value; return *this; }
  map_options &set_scale_bound(double value) { scale_bound = value; return *this; }
  map_options &set_scale_epsilon(double value) { scale_epsilon = value; return *this; }
  map_options &set_log_scale_low(double value) { log_scale_low = value; return *this; }
  map_options &set_log_scale_high(double value) { log_scale_high = value; return *this; }
  map_options &set_spline(spline_options value) { spline = std::move(value); return *this; }
  map_options &set_mixture(mixture_options value) { mixture = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const map_options &from) {
      c_.map = from.map;
      c_.scale = from.scale;
      c_.scale_bound = from.scale_bound;
      c_.scale_epsilon = from.scale_epsilon;
      c_.log_scale_low = from.log_scale_low;
      c_.log_scale_high = from.log_scale_high;
      if (from.spline) c_.spline = spline_.emplace(*from.spline).get();
      if (from.mixture) c_.mixture = mixture_.emplace(*from.mixture).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_map_options *get() const { return &c_; }

   private:
    diffeo_map_options c_ = defaults();
    std::optional<spline_options::in_c> spline_{};
    std::optional<mixture_options::in_c> mixture_{};
  };
};

/* diffeo_autoregressive_options */
struct autoregressive_options {
  static const diffeo_autoregressive_options &defaults() {
    return detail::defaults<diffeo_autoregressive_options, diffeo_autoregressive_options_init>();
  }

  std::int32_t order = defaults().order;
  std::int32_t degrees = defaults().degrees;
  std::optional<std::vector<std::int64_t>> order_given{};
  std::int32_t direct = defaults().direct;
  std::int32_t inverse_map = defaults().inverse_map;
  std::uint64_t seed = defaults().seed;
  std::optional<network_options> network{};
  std::optional<map_options> map{};

  autoregressive_options &set_order(std::int32_t value) { order = value; return *this; }
  autoregressive_options &set_degrees(std::int32_t value) { degrees = value; return *this; }
  autoregressive_options &set_order_given(std::vector<std::int64_t> value) { order_given = std::move(value); return *this; }
  autoregressive_options &set_direct(std::int32_t value) { direct = value; return *this; }
  autoregressive_options &set_inverse_map(std::int32_t value) { inverse_map = value; return *this; }
  autoregressive_options &set_seed(std::uint64_t value) { seed = value; return *this; }
  autoregressive_options &set_network(network_options value) { network = std::move(value); return *this; }
  autoregressive_options &set_map(map_options value) { map = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const autoregressive_options &from) {
      c_.order = from.order;
      c_.degrees = from.degrees;
      c_.order_given = detail::array(from.order_given);
      c_.direct = from.direct;
      c_.inverse_map = from.inverse_map;
      c_.seed = from.seed;
      if (from.network) c_.network = network_.emplace(*from.network).get();
      if (from.map) c_.map = map_.emplace(*from.map).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_autoregressive_options *get() const { return &c_; }

   private:
    diffeo_autoregressive_options c_ = defaults();
    std::optional<network_options::in_c> network_{};
    std::optional<map_options::in_c> map_{};
  };
};

/* diffeo_coupling_options */
struct coupling_options {
  static const diffeo_coupling_options &defaults() {
    return detail::defaults<diffeo_coupling_options, diffeo_coupling_options_init>();
  }

  std::int32_t mask = defaults().mask;
  std::int32_t scale_activation = defaults().scale_activation;
  std::optional<std::vector<std::uint8_t>> mask_given{};
  std::uint64_t seed = defaults().seed;
  std::optional<network_options> network{};
  std::optional<map_options> map{};

  coupling_options &set_mask(std::int32_t value) { mask = value; return *this; }
  coupling_options &set_scale_activation(std::int32_t value) { scale_activation = value; return *this; }
  coupling_options &set_mask_given(std::vector<std::uint8_t> value) { mask_given = std::move(value); return *this; }
  coupling_options &set_seed(std::uint64_t value) { seed = value; return *this; }
  coupling_options &set_network(network_options value) { network = std::move(value); return *this; }
  coupling_options &set_map(map_options value) { map = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const coupling_options &from) {
      c_.mask = from.mask;
      c_.scale_activation = from.scale_activation;
      c_.mask_given = detail::array(from.mask_given);
      c_.seed = from.seed;
      if (from.network) c_.network = network_.emplace(*from.network).get();
      if (from.map) c_.map = map_.emplace(*from.map).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_coupling_options *get() const { return &c_; }

   private:
    diffeo_coupling_options c_ = defaults();
    std::optional<network_options::in_c> network_{};
    std::optional<map_options::in_c> map_{};
  };
};

/* diffeo_elementwise_options */
struct elementwise_options {
  static const diffeo_elementwise_options &defaults() {
    return detail::defaults<diffeo_elementwise_options, diffeo_elementwise_options_init>();
  }

  std::optional<std::vector<std::int64_t>> columns{};
  std::optional<network_options> network{};
  std::optional<map_options> map{};

  elementwise_options &set_columns(std::vector<std::int64_t> value) { columns = std::move(value); return *this; }
  elementwise_options &set_network(network_options value) { network = std::move(value); return *this; }
  elementwise_options &set_map(map_options value) { map = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const elementwise_options &from) {
      c_.columns = detail::array(from.columns);
      c_.column_count = detail::count(from.columns);
      if (from.network) c_.network = network_.emplace(*from.network).get();
      if (from.map) c_.map = map_.emplace(*from.map).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_elementwise_options *get() const { return &c_; }

   private:
    diffeo_elementwise_options c_ = defaults();
    std::optional<network_options::in_c> network_{};
    std::optional<map_options::in_c> map_{};
  };
};

/* diffeo_base_options */
struct base_options {
  static const diffeo_base_options &defaults() {
    return detail::defaults<diffeo_base_options, diffeo_base_options_init>();
  }

  std::int32_t base = defaults().base;
  double low = defaults().low;
  double high = defaults().high;
  double df = defaults().df;
  std::int64_t components = defaults().components;
  std::optional<network_options> network{};
  double alpha = defaults().alpha;
  double beta = defaults().beta;
  std::int32_t covariance = defaults().covariance;
  std::int32_t diagonal = defaults().diagonal;
  double epsilon = defaults().epsilon;

  base_options &set_base(std::int32_t value) { base = value; return *this; }
  base_options &set_low(double value) { low = value; return *this; }
  base_options &set_high(double value) { high = value; return *this; }
  base_options &set_df(double value) { df = value; return *this; }
  base_options &set_components(std::int64_t value) { components = value; return *this; }
  base_options &set_network(network_options value) { network = std::move(value); return *this; }
  base_options &set_alpha(double value) { alpha = value; return *this; }
  base_options &set_beta(double value) { beta = value; return *this; }
  base_options &set_covariance(std::int32_t value) { covariance = value; return *this; }
  base_options &set_diagonal(std::int32_t value) { diagonal = value; return *this; }
  base_options &set_epsilon(double value) { epsilon = value; return *this; }

  class in_c {
   public:
    explicit in_c(const base_options &from) {
      c_.base = from.base;
      c_.low = from.low;
      c_.high = from.high;
      c_.df = from.df;
      c_.components = from.components;
      c_.alpha = from.alpha;
      c_.beta = from.beta;
      c_.covariance = from.covariance;
      c_.diagonal = from.diagonal;
      c_.epsilon = from.epsilon;
      if (from.network) c_.network = network_.emplace(*from.network).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_base_options *get() const { return &c_; }

   private:
    diffeo_base_options c_ = defaults();
    std::optional<network_options::in_c> network_{};
  };
};

/* diffeo_made_options */
struct made_options {
  static const diffeo_made_options &defaults() {
    return detail::defaults<diffeo_made_options, diffeo_made_options_init>();
  }

  std::int32_t conditional = defaults().conditional;
  std::int32_t order = defaults().order;
  std::optional<std::vector<std::int64_t>> order_given{};
  std::int32_t degrees = defaults().degrees;
  std::int32_t direct = defaults().direct;
  std::int64_t components = defaults().components;
  std::int64_t masks = defaults().masks;
  std::uint64_t seed = defaults().seed;
  std::optional<network_options> network{};

  made_options &set_conditional(std::int32_t value) { conditional = value; return *this; }
  made_options &set_order(std::int32_t value) { order = value; return *this; }
  made_options &set_order_given(std::vector<std::int64_t> value) { order_given = std::move(value); return *this; }
  made_options &set_degrees(std::int32_t value) { degrees = value; return *this; }
  made_options &set_direct(std::int32_t value) { direct = value; return *this; }
  made_options &set_components(std::int64_t value) { components = value; return *this; }
  made_options &set_masks(std::int64_t value) { masks = value; return *this; }
  made_options &set_seed(std::uint64_t value) { seed = value; return *this; }
  made_options &set_network(network_options value) { network = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const made_options &from) {
      c_.conditional = from.conditional;
      c_.order = from.order;
      c_.order_given = detail::array(from.order_given);
      c_.degrees = from.degrees;
      c_.direct = from.direct;
      c_.components = from.components;
      c_.masks = from.masks;
      c_.seed = from.seed;
      if (from.network) c_.network = network_.emplace(*from.network).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_made_options *get() const { return &c_; }

   private:
    diffeo_made_options c_ = defaults();
    std::optional<network_options::in_c> network_{};
  };
};

/* diffeo_architecture_options */
struct architecture_options {
  static const diffeo_architecture_options &defaults() {
    return detail::defaults<diffeo_architecture_options, diffeo_architecture_options_init>();
  }

  std::int64_t dim = defaults().dim;
  std::int64_t context_dim = defaults().context_dim;
  std::int64_t transforms = defaults().transforms;
  std::uint64_t seed = defaults().seed;
  std::int32_t dtype = defaults().dtype;
  std::int32_t scale = defaults().scale;
  std::int32_t random_order = defaults().random_order;
  std::int32_t standardize = defaults().standardize;
  std::int32_t actnorm = defaults().actnorm;
  std::int32_t batch_norm = defaults().batch_norm;
  std::int32_t periodic = defaults().periodic;
  std::int32_t conditional = defaults().conditional;
  std::int64_t components = defaults().components;
  std::int64_t masks = defaults().masks;
  std::int64_t bins = defaults().bins;
  double bound = defaults().bound;
  std::optional<network_options> network{};
  std::optional<base_options> base{};
  std::int64_t features = defaults().features;
  std::optional<network_options> embedding{};

  architecture_options &set_dim(std::int64_t value) { dim = value; return *this; }
  architecture_options &set_context_dim(std::int64_t value) { context_dim = value; return *this; }
  architecture_options &set_transforms(std::int64_t value) { transforms = value; return *this; }
  architecture_options &set_seed(std::uint64_t value) { seed = value; return *this; }
  architecture_options &set_dtype(std::int32_t value) { dtype = value; return *this; }
  architecture_options &set_scale(std::int32_t value) { scale = value; return *this; }
  architecture_options &set_random_order(std::int32_t value) { random_order = value; return *this; }
  architecture_options &set_standardize(std::int32_t value) { standardize = value; return *this; }
  architecture_options &set_actnorm(std::int32_t value) { actnorm = value; return *this; }
  architecture_options &set_batch_norm(std::int32_t value) { batch_norm = value; return *this; }
  architecture_options &set_periodic(std::int32_t value) { periodic = value; return *this; }
  architecture_options &set_conditional(std::int32_t value) { conditional = value; return *this; }
  architecture_options &set_components(std::int64_t value) { components = value; return *this; }
  architecture_options &set_masks(std::int64_t value) { masks = value; return *this; }
  architecture_options &set_bins(std::int64_t value) { bins = value; return *this; }
  architecture_options &set_bound(double value) { bound = value; return *this; }
  architecture_options &set_network(network_options value) { network = std::move(value); return *this; }
  architecture_options &set_base(base_options value) { base = std::move(value); return *this; }
  architecture_options &set_features(std::int64_t value) { features = value; return *this; }
  architecture_options &set_embedding(network_options value) { embedding = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const architecture_options &from) {
      c_.dim = from.dim;
      c_.context_dim = from.context_dim;
      c_.transforms = from.transforms;
      c_.seed = from.seed;
      c_.dtype = from.dtype;
      c_.scale = from.scale;
      c_.random_order = from.random_order;
      c_.standardize = from.standardize;
      c_.actnorm = from.actnorm;
      c_.batch_norm = from.batch_norm;
      c_.periodic = from.periodic;
      c_.conditional = from.conditional;
      c_.components = from.components;
      c_.masks = from.masks;
      c_.bins = from.bins;
      c_.bound = from.bound;
      c_.features = from.features;
      if (from.network) c_.network = network_.emplace(*from.network).get();
      if (from.base) c_.base = base_.emplace(*from.base).get();
      if (from.embedding) c_.embedding = embedding_.emplace(*from.embedding).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_architecture_options *get() const { return &c_; }

   private:
    diffeo_architecture_options c_ = defaults();
    std::optional<network_options::in_c> network_{};
    std::optional<base_options::in_c> base_{};
    std::optional<network_options::in_c> embedding_{};
  };
};

/* diffeo_convolution_options */
struct convolution_options {
  static const diffeo_convolution_options &defaults() {
    return detail::defaults<diffeo_convolution_options, diffeo_convolution_options_init>();
  }

  std::optional<std::vector<std::int64_t>> hidden{};
  std::int32_t activation = defaults().activation;
  std::int32_t blocks = defaults().blocks;
  std::int64_t kernel_first = defaults().kernel_first;
  std::int64_t kernel_hidden = defaults().kernel_hidden;
  std::int64_t kernel_last = defaults().kernel_last;
  std::int32_t gain = defaults().gain;
  std::int32_t ones_outside = defaults().ones_outside;

  convolution_options &set_hidden(std::vector<std::int64_t> value) { hidden = std::move(value); return *this; }
  convolution_options &set_activation(std::int32_t value) { activation = value; return *this; }
  convolution_options &set_blocks(std::int32_t value) { blocks = value; return *this; }
  convolution_options &set_kernel_first(std::int64_t value) { kernel_first = value; return *this; }
  convolution_options &set_kernel_hidden(std::int64_t value) { kernel_hidden = value; return *this; }
  convolution_options &set_kernel_last(std::int64_t value) { kernel_last = value; return *this; }
  convolution_options &set_gain(std::int32_t value) { gain = value; return *this; }
  convolution_options &set_ones_outside(std::int32_t value) { ones_outside = value; return *this; }

  class in_c {
   public:
    explicit in_c(const convolution_options &from) {
      c_.hidden = detail::array(from.hidden);
      c_.hidden_count = detail::count(from.hidden);
      c_.activation = from.activation;
      c_.blocks = from.blocks;
      c_.kernel_first = from.kernel_first;
      c_.kernel_hidden = from.kernel_hidden;
      c_.kernel_last = from.kernel_last;
      c_.gain = from.gain;
      c_.ones_outside = from.ones_outside;
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_convolution_options *get() const { return &c_; }

   private:
    diffeo_convolution_options c_ = defaults();
  };
};

/* diffeo_image_coupling_options */
struct image_coupling_options {
  static const diffeo_image_coupling_options &defaults() {
    return detail::defaults<diffeo_image_coupling_options, diffeo_image_coupling_options_init>();
  }

  std::int32_t mask = defaults().mask;
  std::optional<std::vector<std::uint8_t>> mask_given{};
  std::optional<convolution_options> network{};
  std::optional<map_options> map{};

  image_coupling_options &set_mask(std::int32_t value) { mask = value; return *this; }
  image_coupling_options &set_mask_given(std::vector<std::uint8_t> value) { mask_given = std::move(value); return *this; }
  image_coupling_options &set_network(convolution_options value) { network = std::move(value); return *this; }
  image_coupling_options &set_map(map_options value) { map = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const image_coupling_options &from) {
      c_.mask = from.mask;
      c_.mask_given = detail::array(from.mask_given);
      if (from.network) c_.network = network_.emplace(*from.network).get();
      if (from.map) c_.map = map_.emplace(*from.map).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_image_coupling_options *get() const { return &c_; }

   private:
    diffeo_image_coupling_options c_ = defaults();
    std::optional<convolution_options::in_c> network_{};
    std::optional<map_options::in_c> map_{};
  };
};

/* diffeo_split_options */
struct split_options {
  static const diffeo_split_options &defaults() {
    return detail::defaults<diffeo_split_options, diffeo_split_options_init>();
  }

  std::int32_t keep = defaults().keep;
  std::int32_t prior = defaults().prior;
  std::optional<convolution_options> network{};

  split_options &set_keep(std::int32_t value) { keep = value; return *this; }
  split_options &set_prior(std::int32_t value) { prior = value; return *this; }
  split_options &set_network(convolution_options value) { network = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const split_options &from) {
      c_.keep = from.keep;
      c_.prior = from.prior;
      if (from.network) c_.network = network_.emplace(*from.network).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_split_options *get() const { return &c_; }

   private:
    diffeo_split_options c_ = defaults();
    std::optional<convolution_options::in_c> network_{};
  };
};

/* diffeo_image_options */
struct image_options {
  static const diffeo_image_options &defaults() {
    return detail::defaults<diffeo_image_options, diffeo_image_options_init>();
  }

  std::int64_t channels = defaults().channels;
  std::int64_t height = defaults().height;
  std::int64_t width = defaults().width;
  std::int64_t context_dim = defaults().context_dim;
  std::int64_t levels = defaults().levels;
  std::int64_t steps = defaults().steps;
  std::int64_t quantization = defaults().quantization;
  double alpha = defaults().alpha;
  std::uint64_t seed = defaults().seed;
  std::int32_t dtype = defaults().dtype;
  std::int32_t scale = defaults().scale;
  std::int32_t split = defaults().split;
  std::int32_t learned_prior = defaults().learned_prior;
  std::int32_t learned_top = defaults().learned_top;
  std::int32_t lu = defaults().lu;
  std::optional<convolution_options> network{};
  std::optional<map_options> map{};

  image_options &set_channels(std::int64_t value) { channels = value; return *this; }
  image_options &set_height(std::int64_t value) { height = value; return *this; }
  image_options &set_width(std::int64_t value) { width = value; return *this; }
  image_options &set_context_dim(std::int64_t value) { context_dim = value; return *this; }
  image_options &set_levels(std::int64_t value) { levels = value; return *this; }
  image_options &set_steps(std::int64_t value) { steps = value; return *this; }
  image_options &set_quantization(std::int64_t value) { quantization = value; return *this; }
  image_options &set_alpha(double value) { alpha = value; return *this; }
  image_options &set_seed(std::uint64_t value) { seed = value; return *this; }
  image_options &set_dtype(std::int32_t value) { dtype = value; return *this; }
  image_options &set_scale(std::int32_t value) { scale = value; return *this; }
  image_options &set_split(std::int32_t value) { split = value; return *this; }
  image_options &set_learned_prior(std::int32_t value) { learned_prior = value; return *this; }
  image_options &set_learned_top(std::int32_t value) { learned_top = value; return *this; }
  image_options &set_lu(std::int32_t value) { lu = value; return *this; }
  image_options &set_network(convolution_options value) { network = std::move(value); return *this; }
  image_options &set_map(map_options value) { map = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const image_options &from) {
      c_.channels = from.channels;
      c_.height = from.height;
      c_.width = from.width;
      c_.context_dim = from.context_dim;
      c_.levels = from.levels;
      c_.steps = from.steps;
      c_.quantization = from.quantization;
      c_.alpha = from.alpha;
      c_.seed = from.seed;
      c_.dtype = from.dtype;
      c_.scale = from.scale;
      c_.split = from.split;
      c_.learned_prior = from.learned_prior;
      c_.learned_top = from.learned_top;
      c_.lu = from.lu;
      if (from.network) c_.network = network_.emplace(*from.network).get();
      if (from.map) c_.map = map_.emplace(*from.map).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_image_options *get() const { return &c_; }

   private:
    diffeo_image_options c_ = defaults();
    std::optional<convolution_options::in_c> network_{};
    std::optional<map_options::in_c> map_{};
  };
};

/* diffeo_train_options */
struct train_options {
  static const diffeo_train_options &defaults() {
    return detail::defaults<diffeo_train_options, diffeo_train_options_init>();
  }

  std::int64_t batch_size = defaults().batch_size;
  std::int64_t max_epochs = defaults().max_epochs;
  std::int64_t patience = defaults().patience;
  double validation_fraction = defaults().validation_fraction;
  std::uint64_t seed = defaults().seed;
  std::int32_t threads = defaults().threads;
  std::int32_t judge = defaults().judge;
  std::int32_t optimizer = defaults().optimizer;
  std::int32_t schedule = defaults().schedule;
  double learning_rate = defaults().learning_rate;
  std::int64_t warmup_steps = defaults().warmup_steps;
  double rate_decay = defaults().rate_decay;
  std::int64_t plateau_patience = defaults().plateau_patience;
  double beta1 = defaults().beta1;
  double beta2 = defaults().beta2;
  double epsilon = defaults().epsilon;
  double momentum = defaults().momentum;
  double weight_decay = defaults().weight_decay;
  double l2 = defaults().l2;
  double clip_norm = defaults().clip_norm;
  double clip_quantile = defaults().clip_quantile;
  double ema_decay = defaults().ema_decay;
  double x_noise = defaults().x_noise;
  std::int32_t negative_weights = defaults().negative_weights;
  std::int64_t rows_memory = defaults().rows_memory;
  std::int64_t image_shift = defaults().image_shift;
  std::int32_t image_flip = defaults().image_flip;

  train_options &set_batch_size(std::int64_t value) { batch_size = value; return *this; }
  train_options &set_max_epochs(std::int64_t value) { max_epochs = value; return *this; }
  train_options &set_patience(std::int64_t value) { patience = value; return *this; }
  train_options &set_validation_fraction(double value) { validation_fraction = value; return *this; }
  train_options &set_seed(std::uint64_t value) { seed = value; return *this; }
  train_options &set_threads(std::int32_t value) { threads = value; return *this; }
  train_options &set_judge(std::int32_t value) { judge = value; return *this; }
  train_options &set_optimizer(std::int32_t value) { optimizer = value; return *this; }
  train_options &set_schedule(std::int32_t value) { schedule = value; return *this; }
  train_options &set_learning_rate(double value) { learning_rate = value; return *this; }
  train_options &set_warmup_steps(std::int64_t value) { warmup_steps = value; return *this; }
  train_options &set_rate_decay(double value) { rate_decay = value; return *this; }
  train_options &set_plateau_patience(std::int64_t value) { plateau_patience = value; return *this; }
  train_options &set_beta1(double value) { beta1 = value; return *this; }
  train_options &set_beta2(double value) { beta2 = value; return *this; }
  train_options &set_epsilon(double value) { epsilon = value; return *this; }
  train_options &set_momentum(double value) { momentum = value; return *this; }
  train_options &set_weight_decay(double value) { weight_decay = value; return *this; }
  train_options &set_l2(double value) { l2 = value; return *this; }
  train_options &set_clip_norm(double value) { clip_norm = value; return *this; }
  train_options &set_clip_quantile(double value) { clip_quantile = value; return *this; }
  train_options &set_ema_decay(double value) { ema_decay = value; return *this; }
  train_options &set_x_noise(double value) { x_noise = value; return *this; }
  train_options &set_negative_weights(std::int32_t value) { negative_weights = value; return *this; }
  train_options &set_rows_memory(std::int64_t value) { rows_memory = value; return *this; }
  train_options &set_image_shift(std::int64_t value) { image_shift = value; return *this; }
  train_options &set_image_flip(std::int32_t value) { image_flip = value; return *this; }

  class in_c {
   public:
    explicit in_c(const train_options &from) {
      c_.batch_size = from.batch_size;
      c_.max_epochs = from.max_epochs;
      c_.patience = from.patience;
      c_.validation_fraction = from.validation_fraction;
      c_.seed = from.seed;
      c_.threads = from.threads;
      c_.judge = from.judge;
      c_.optimizer = from.optimizer;
      c_.schedule = from.schedule;
      c_.learning_rate = from.learning_rate;
      c_.warmup_steps = from.warmup_steps;
      c_.rate_decay = from.rate_decay;
      c_.plateau_patience = from.plateau_patience;
      c_.beta1 = from.beta1;
      c_.beta2 = from.beta2;
      c_.epsilon = from.epsilon;
      c_.momentum = from.momentum;
      c_.weight_decay = from.weight_decay;
      c_.l2 = from.l2;
      c_.clip_norm = from.clip_norm;
      c_.clip_quantile = from.clip_quantile;
      c_.ema_decay = from.ema_decay;
      c_.x_noise = from.x_noise;
      c_.negative_weights = from.negative_weights;
      c_.rows_memory = from.rows_memory;
      c_.image_shift = from.image_shift;
      c_.image_flip = from.image_flip;
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_train_options *get() const { return &c_; }

   private:
    diffeo_train_options c_ = defaults();
  };
};

/* diffeo_vi_options */
struct vi_options {
  static const diffeo_vi_options &defaults() {
    return detail::defaults<diffeo_vi_options, diffeo_vi_options_init>();
  }

  std::int64_t steps = defaults().steps;
  std::int64_t batch_size = defaults().batch_size;
  std::int64_t window = defaults().window;
  std::int64_t patience = defaults().patience;
  std::int32_t estimator = defaults().estimator;
  std::int32_t draws = defaults().draws;
  double tempering = defaults().tempering;
  std::int64_t tempering_steps = defaults().tempering_steps;
  std::optional<train_options> train{};

  vi_options &set_steps(std::int64_t value) { steps = value; return *this; }
  vi_options &set_batch_size(std::int64_t value) { batch_size = value; return *this; }
  vi_options &set_window(std::int64_t value) { window = value; return *this; }
  vi_options &set_patience(std::int64_t value) { patience = value; return *this; }
  vi_options &set_estimator(std::int32_t value) { estimator = value; return *this; }
  vi_options &set_draws(std::int32_t value) { draws = value; return *this; }
  vi_options &set_tempering(double value) { tempering = value; return *this; }
  vi_options &set_tempering_steps(std::int64_t value) { tempering_steps = value; return *this; }
  vi_options &set_train(train_options value) { train = std::move(value); return *this; }

  class in_c {
   public:
    explicit in_c(const vi_options &from) {
      c_.steps = from.steps;
      c_.batch_size = from.batch_size;
      c_.window = from.window;
      c_.patience = from.patience;
      c_.estimator = from.estimator;
      c_.draws = from.draws;
      c_.tempering = from.tempering;
      c_.tempering_steps = from.tempering_steps;
      if (from.train) c_.train = train_.emplace(*from.train).get();
    }
    in_c(const in_c &) = delete;
    in_c &operator=(const in_c &) = delete;
    const diffeo_vi_options *get() const { return &c_; }

   private:
    diffeo_vi_options c_ = defaults();
    std::optional<train_options::in_c> train_{};
  };
};
// Until here.

/* The least and the greatest value of an option, see diffeo_option_bounds. */
inline std::pair<double, double> option_bounds(const std::string &option) {
  std::pair<double, double> bounds;
  check(diffeo_option_bounds(detail::c_string("option", option), &bounds.first, &bounds.second));
  return bounds;
}

/* --------------------------------------------------------------------------------------------------- Workspace */

/* Does its part number index of a call: for any thread. */
class job {
 public:
  job(diffeo_job function, void *jobs) : function_(function), jobs_(jobs) {}
  void operator()(std::int32_t index) const noexcept { function_(jobs_, index); }

 private:
  diffeo_job function_;
  void *jobs_;
};

/* Does job(0) to job(count - 1), in any threads, and returns when all have returned. It must not throw. */
using parallel = std::function<void(job job, std::int32_t count)>;

/* Scratch memory and a team of threads: one for many calls, one call at a time. */
class workspace : public detail::handle<diffeo_workspace, diffeo_workspace_destroy> {
 public:
  /* 0 threads: as many as the process may run on. */
  explicit workspace(std::int32_t threads = 1)
      : handle(detail::made<diffeo_workspace>([&](auto **made) { return diffeo_workspace_create(threads, made); })) {}
  /* With threads of the host's in place of a team. */
  static workspace hosted(std::int32_t threads, parallel of_host) {
    auto held = std::make_unique<parallel>(std::move(of_host));
    diffeo_workspace *owned = detail::made<diffeo_workspace>([&](auto **made) {
      return diffeo_workspace_create_hosted(threads, *held ? call : nullptr, held.get(), made);
    });
    return workspace(owned, std::move(held));
  }
  std::int32_t threads() const { return diffeo_workspace_threads(get()); }
  /* Each thread of the team to one of these processors, in turns. */
  void pin(const std::vector<std::int64_t> &processors) {
    check(diffeo_workspace_pin(get(), processors.data(), std::int64_t(processors.size())));
  }

 private:
  workspace(diffeo_workspace *owned, std::unique_ptr<parallel> held) : handle(owned), held_(std::move(held)) {}
  static void call(void *user, diffeo_job function, void *jobs, std::int32_t count) noexcept {
    (*static_cast<parallel *>(user))(job(function, jobs), count);
  }

  std::unique_ptr<parallel> held_;
};

/* -------------------------------------------------------------------------------------------------------- Flow */

using train_report = diffeo_train_report;

/* Called after every epoch: false stops the training. What it throws does, too, and reaches the caller of fit. */
using progress = std::function<bool(const train_report &)>;

/* A flow, immutable: any number of threads may use one at a time, each with a workspace of its own. */
class flow : public detail::handle<diffeo_flow, diffeo_flow_destroy> {
 public:
  /* Takes a handle of diffeo.h, which is then its own. */
  explicit flow(diffeo_flow *owned) : handle(owned) {}

  static flow load(const std::string &path) {
    return made([&](auto **flow) { return diffeo_flow_load(detail::c_string("path", path), flow); });
  }
  void save(const std::string &path) const { check(diffeo_flow_save(get(), detail::c_string("path", path))); }
  /* The file as bytes. */
  static flow load_memory(view<const unsigned char> bytes) {
    return made([&](auto **flow) { return diffeo_flow_load_memory(bytes.data(), bytes.size(), flow); });
  }
  std::vector<unsigned char> save_memory() const {
    std::size_t size = 0;
    check(diffeo_flow_save_memory(get(), nullptr, 0, &size));
    std::vector<unsigned char> bytes(size);
    check(diffeo_flow_save_memory(get(), bytes.data(), bytes.size(), &size));
    return bytes;
  }

  std::int64_t dim() const { return diffeo_flow_dim(get()); }
  std::int64_t context_dim() const { return diffeo_flow_context_dim(get()); }
  /* {dim}, or {channels, height, width} of images. */
  std::vector<std::int64_t> shape() const {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(diffeo_flow_shape(get(), nullptr, 0)));
    diffeo_flow_shape(get(), shape.data(), std::int64_t(shape.size()));
    return shape;
  }
  /* DIFFEO_F32 or DIFFEO_F64. */
  std::int32_t dtype() const { return diffeo_flow_dtype(get()); }
  std::int64_t layer_count() const { return diffeo_flow_layer_count(get()); }
  std::int64_t parameter_count() const { return diffeo_flow_parameter_count(get()); }
  std::string describe() const {
    return detail::text([&](char *text, std::size_t capacity, std::size_t *length) {
      return diffeo_flow_describe(get(), text, capacity, length);
    });
  }

  /* Metadata changes the flow: no other thread may use it meanwhile. */
  void set_metadata(const std::string &key, const std::string &value) {
    check(diffeo_flow_set_metadata(get(), detail::c_string("key", key), detail::c_string("value", value)));
  }
  void remove_metadata(const std::string &key) {
    check(diffeo_flow_set_metadata(get(), detail::c_string("key", key), nullptr));
  }
  std::string metadata(const std::string &key) const {
    return detail::text([&](char *text, std::size_t capacity, std::size_t *length) {
      return diffeo_flow_metadata(get(), detail::c_string("key", key), text, capacity, length);
    });
  }
  std::vector<std::string> metadata_keys() const {
    std::vector<std::string> keys;
    const std::int64_t count = diffeo_flow_metadata_count(get());
    for (std::int64_t i = 0; i < count; i++)
      keys.push_back(detail::text([&](char *text, std::size_t capacity, std::size_t *length) {
        return diffeo_flow_metadata_key(get(), i, text, capacity, length);
      }));
    return keys;
  }

  /* parameter_count() values. */
  template <class X>
  void parameters(X &&values) const {
    using T = detail::scalar<X &>;
    const view<T> out(values);
    detail::expect("parameters", out, std::size_t(parameter_count()));
    check(detail::by_type<T>(diffeo_flow_parameters_f32, diffeo_flow_parameters_f64)(get(), out.data()));
  }
  template <class X>
  flow with_parameters(const X &values) const {
    using T = detail::scalar<const X &>;
    const view<const T> in(values);
    detail::expect("parameters", in, std::size_t(parameter_count()));
    return made([&](auto **changed) {
      return detail::by_type<T>(diffeo_flow_with_parameters_f32, diffeo_flow_with_parameters_f64)(get(), in.data(),
                                                                                                  changed);
    });
  }
  /* Of each column the levels of its counts: 0 without an end, -1 for a column that is none. */
  std::vector<std::int64_t> levels() const {
    std::vector<std::int64_t> found(static_cast<std::size_t>(dim()));
    check(diffeo_flow_levels(get(), found.data()));
    return found;
  }
  /* 1 for each parameter that a training moves, else 0. */
  std::vector<std::uint8_t> trained_parameters() const {
    std::vector<std::uint8_t> trained(static_cast<std::size_t>(parameter_count()));
    check(diffeo_flow_trained_parameters(get(), trained.data()));
    return trained;
  }

  /* In all that follows: context is empty for a flow without one, else a row for all or as many as x has; a workspace is
   * scratch memory and threads, nullptr for one thread and memory that is allocated for the call. */

  /* log p(x | context), nats. */
  template <class X, class T = detail::scalar<const X &>>
  void log_prob(const X &x, detail::out<T> log_prob, detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const batch<T> given(*this, "x", x, context);
    detail::expect("log_prob", log_prob, std::size_t(given.n));
    check(detail::by_type<T>(diffeo_flow_log_prob_f32, diffeo_flow_log_prob_f64)(
        get(), given.x, given.n, given.context, given.n_context, raw(scratch), log_prob.data()));
  }

  /* Its gradients, in x (the score) and in the context; {} for what is not wanted. */
  template <class X, class T = detail::scalar<const X &>>
  void log_prob_gradient(const X &x, detail::out<T> log_prob, detail::out<T> grad_x, detail::out<T> grad_context = {},
                         detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const batch<T> given(*this, "x", x, context);
    detail::expect_or_none("log_prob", log_prob, std::size_t(given.n));
    expect_rows("grad_x", grad_x, dim(), given.n);
    expect_rows("grad_context", grad_context, context_dim(), given.n);
    check(detail::by_type<T>(diffeo_flow_log_prob_gradient_f32, diffeo_flow_log_prob_gradient_f64)(
        get(), given.x, given.n, given.context, given.n_context, raw(scratch), log_prob.data(), grad_x.data(),
        grad_context.data()));
  }

  /* Data to noise, and log|det dz/dx| if it is wanted. */
  template <class X, class T = detail::scalar<const X &>>
  void to_noise(const X &x, detail::out<T> z, detail::out<T> log_det = {}, detail::in<T> context = {},
                workspace *scratch = nullptr) const {
    const batch<T> given(*this, "x", x, context);
    expect_rows("z", z, dim(), given.n, true);
    detail::expect_or_none("log_det", log_det, std::size_t(given.n));
    check(detail::by_type<T>(diffeo_flow_to_noise_f32, diffeo_flow_to_noise_f64)(
        get(), given.x, given.n, given.context, given.n_context, raw(scratch), z.data(), log_det.data()));
  }

  /* Noise to data, and log|det dx/dz| if it is wanted. */
  template <class X, class T = detail::scalar<const X &>>
  void from_noise(const X &z, detail::out<T> x, detail::out<T> log_det = {}, detail::in<T> context = {},
                  workspace *scratch = nullptr) const {
    const batch<T> given(*this, "z", z, context);
    expect_rows("x", x, dim(), given.n, true);
    detail::expect_or_none("log_det", log_det, std::size_t(given.n));
    check(detail::by_type<T>(diffeo_flow_from_noise_f32, diffeo_flow_from_noise_f64)(
        get(), given.x, given.n, given.context, given.n_context, raw(scratch), x.data(), log_det.data()));
  }

  /* Samples number first_row, first_row + 1, ... of the seed, as many as x has rows, and their log-densities if they are
   * wanted. */
  template <class X, class T = detail::scalar<X &>>
  void sample(std::uint64_t seed, X &&x, detail::out<T> log_prob = {}, std::uint64_t first_row = 0,
              detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const view<T> out(x);
    const batch<T> given(*this, "x", out, context);
    detail::expect_or_none("log_prob", log_prob, std::size_t(given.n));
    check(detail::by_type<T>(diffeo_flow_sample_f32, diffeo_flow_sample_f64)(
        get(), seed, first_row, given.n, given.context, given.n_context, raw(scratch), out.data(), log_prob.data()));
  }
  template <class X, class T = detail::scalar<X &>>
  void sample_tempered(double temperature, std::uint64_t seed, X &&x, detail::out<T> log_prob = {},
                       std::uint64_t first_row = 0, detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const view<T> out(x);
    const batch<T> given(*this, "x", out, context);
    detail::expect_or_none("log_prob", log_prob, std::size_t(given.n));
    check(detail::by_type<T>(diffeo_flow_sample_tempered_f32, diffeo_flow_sample_tempered_f64)(
        get(), temperature, seed, first_row, given.n, given.context, given.n_context, raw(scratch), out.data(),
        log_prob.data()));
  }

  /* Bits per dimension of counts. */
  template <class X, class T = detail::scalar<const X &>>
  void bits_per_dim(const X &x, detail::out<T> bits, std::uint64_t seed = 0, std::int64_t draws = 1,
                    detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const batch<T> given(*this, "x", x, context);
    detail::expect("bits", bits, std::size_t(given.n));
    check(detail::by_type<T>(diffeo_flow_bits_per_dim_f32, diffeo_flow_bits_per_dim_f64)(
        get(), given.x, given.n, given.context, given.n_context, seed, draws, raw(scratch), bits.data()));
  }

  /* Vector-Jacobian products: g_* is dL/d(that result), grad_* becomes dL/d(that argument), {} is none. To grad_parameters,
   * of parameter_count() values, the derivative is added. The results themselves are made on the way. */
  template <class X, class T = detail::scalar<const X &>>
  void log_prob_vjp(const X &x, detail::in<T> g_log_prob, detail::out<T> log_prob, detail::out<T> grad_x,
                    detail::out<T> grad_context, detail::out<T> grad_parameters, detail::in<T> context = {},
                    workspace *scratch = nullptr) const {
    const batch<T> given(*this, "x", x, context);
    detail::expect_or_none("g_log_prob", g_log_prob, std::size_t(given.n));
    detail::expect_or_none("log_prob", log_prob, std::size_t(given.n));
    expect_rows("grad_x", grad_x, dim(), given.n);
    expect_gradients(given.n, grad_context, grad_parameters);
    check(detail::by_type<T>(diffeo_flow_log_prob_vjp_f32, diffeo_flow_log_prob_vjp_f64)(
        get(), given.x, given.n, given.context, given.n_context, g_log_prob.data(), raw(scratch), log_prob.data(),
        grad_x.data(), grad_context.data(), grad_parameters.data()));
  }
  template <class X, class T = detail::scalar<const X &>>
  void to_noise_vjp(const X &x, detail::in<T> g_z, detail::in<T> g_log_det, detail::out<T> z, detail::out<T> log_det,
                    detail::out<T> grad_x, detail::out<T> grad_context, detail::out<T> grad_parameters,
                    detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const batch<T> given(*this, "x", x, context);
    expect_way(given.n, {"g_z", "z", "grad_x"}, g_z, g_log_det, z, log_det, grad_x);
    expect_gradients(given.n, grad_context, grad_parameters);
    check(detail::by_type<T>(diffeo_flow_to_noise_vjp_f32, diffeo_flow_to_noise_vjp_f64)(
        get(), given.x, given.n, given.context, given.n_context, g_z.data(), g_log_det.data(), raw(scratch), z.data(),
        log_det.data(), grad_x.data(), grad_context.data(), grad_parameters.data()));
  }
  template <class X, class T = detail::scalar<const X &>>
  void from_noise_vjp(const X &z, detail::in<T> g_x, detail::in<T> g_log_det, detail::out<T> x, detail::out<T> log_det,
                      detail::out<T> grad_z, detail::out<T> grad_context, detail::out<T> grad_parameters,
                      detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const batch<T> given(*this, "z", z, context);
    expect_way(given.n, {"g_x", "x", "grad_z"}, g_x, g_log_det, x, log_det, grad_z);
    expect_gradients(given.n, grad_context, grad_parameters);
    check(detail::by_type<T>(diffeo_flow_from_noise_vjp_f32, diffeo_flow_from_noise_vjp_f64)(
        get(), given.x, given.n, given.context, given.n_context, g_x.data(), g_log_det.data(), raw(scratch), x.data(),
        log_det.data(), grad_z.data(), grad_context.data(), grad_parameters.data()));
  }
  /* Of as many samples as g_x has rows. */
  template <class X, class T = detail::scalar<const X &>>
  void sample_vjp(std::uint64_t seed, std::uint64_t first_row, const X &g_x, detail::in<T> g_log_prob, detail::out<T> x,
                  detail::out<T> log_prob, detail::out<T> grad_context, detail::out<T> grad_parameters,
                  detail::in<T> context = {}, workspace *scratch = nullptr) const {
    const batch<T> given(*this, "g_x", g_x, context);
    detail::expect_or_none("g_log_prob", g_log_prob, std::size_t(given.n));
    expect_rows("x", x, dim(), given.n);
    detail::expect_or_none("log_prob", log_prob, std::size_t(given.n));
    expect_gradients(given.n, grad_context, grad_parameters);
    check(detail::by_type<T>(diffeo_flow_sample_vjp_f32, diffeo_flow_sample_vjp_f64)(
        get(), seed, first_row, given.n, given.context, given.n_context, given.x, g_log_prob.data(), raw(scratch),
        x.data(), log_prob.data(), grad_context.data(), grad_parameters.data()));
  }

  /* Trains to the end, or until on_progress stops it, and gives the best flow. weights: one a row, or none. */
  template <class X, class T = detail::scalar<const X &>>
  flow fit(const X &x, const train_options &options = {}, detail::in<T> context = {}, detail::in<T> weights = {},
           const progress &on_progress = {}, train_report *report = nullptr) const {
    const batch<T> given(*this, "x", x, context);
    detail::expect_or_none("weights", weights, std::size_t(given.n));
    const train_options::in_c c_options(options);
    train_report last = detail::sized<train_report>();
    watcher watched{on_progress, nullptr, false};
    diffeo_flow *trained = nullptr;
    const diffeo_status status = detail::by_type<T>(diffeo_fit_f32, diffeo_fit_f64)(
        get(), c_options.get(), given.x, given.n, given.context, given.n_context, weights.data(),
        on_progress ? watch : nullptr, &watched, &trained, &last);
    flow result(trained);
    if (watched.thrown) std::rethrow_exception(watched.thrown);
    if (!(status == DIFFEO_ECANCELLED && watched.stopped)) check(status);
    if (report) *report = last;
    return result;
  }

 private:
  friend class trainer;

  template <class Make>
  static flow made(Make make) {
    return flow(detail::made<diffeo_flow>(make));
  }

  static diffeo_workspace *raw(workspace *scratch) { return scratch ? scratch->get() : nullptr; }

  /* Rows and their context, whose sizes fit the flow. */
  template <class T>
  struct batch {
    batch(const flow &flow, const char *name, view<const T> rows, view<const T> rows_context)
        : x(rows.data()), n(detail::rows(name, rows, flow.dim(), "this flow has dim")), context(rows_context.data()),
          n_context(detail::rows("context", rows_context, flow.context_dim(), "this flow has context_dim")) {}
    const T *x;
    std::int64_t n;
    const T *context;
    std::int64_t n_context;
  };

  template <class T>
  static void expect_rows(const char *name, view<T> values, std::int64_t columns, std::int64_t n, bool wanted = false) {
    if (values.empty() && !wanted) return;
    detail::rows(name, values, columns, "this flow has rows of");
    detail::expect(name, values, std::size_t(columns) * std::size_t(n));
  }

  template <class T>
  void expect_gradients(std::int64_t n, view<T> grad_context, view<T> grad_parameters) const {
    expect_rows("grad_context", grad_context, context_dim(), n);
    detail::expect_or_none("grad_parameters", grad_parameters, std::size_t(parameter_count()));
  }
  /* What the vector-Jacobian products of both directions have in common. names: of the three that are rows. */
  template <class T>
  void expect_way(std::int64_t n, const std::array<const char *, 3> &names, view<const T> g_rows,
                  view<const T> g_log_det, view<T> rows, view<T> log_det, view<T> grad_rows) const {
    expect_rows(names[0], g_rows, dim(), n);
    expect_rows(names[1], rows, dim(), n);
    expect_rows(names[2], grad_rows, dim(), n);
    detail::expect_or_none("g_log_det", g_log_det, std::size_t(n));
    detail::expect_or_none("log_det", log_det, std::size_t(n));
  }

  struct watcher {
    const progress &on_progress;
    std::exception_ptr thrown;
    bool stopped;
  };
  static int watch(const diffeo_train_report *report, void *user) noexcept {
    watcher &watched = *static_cast<watcher *>(user);
    try {
      watched.stopped = !watched.on_progress(*report);
    } catch (...) {
      watched.thrown = std::current_exception();
      watched.stopped = true;
    }
    return watched.stopped;
  }
};

/* ---------------------------------------------------------------------------------------------------- Building */

/* Flows of the literature, with random weights near the identity: diffeo_nice_create and so on. */
namespace detail {
template <class Options, class Create>
flow create(const Options &options, Create create) {
  const typename Options::in_c c_options(options);
  return flow(made<diffeo_flow>([&](auto **flow) { return create(c_options.get(), flow); }));
}
} // namespace detail
inline flow nice(const architecture_options &options) { return detail::create(options, diffeo_nice_create); }
inline flow realnvp(const architecture_options &options) { return detail::create(options, diffeo_realnvp_create); }
inline flow glow(const architecture_options &options) { return detail::create(options, diffeo_glow_create); }
inline flow made(const architecture_options &options) { return detail::create(options, diffeo_made_create); }
inline flow maf(const architecture_options &options) { return detail::create(options, diffeo_maf_create); }
inline flow iaf(const architecture_options &options) { return detail::create(options, diffeo_iaf_create); }
inline flow planar(const architecture_options &options) { return detail::create(options, diffeo_planar_create); }
inline flow radial(const architecture_options &options) { return detail::create(options, diffeo_radial_create); }
inline flow cdf_flow(const architecture_options &options) { return detail::create(options, diffeo_cdf_flow_create); }
inline flow spline_coupling(const architecture_options &options) {
  return detail::create(options, diffeo_spline_coupling_create);
}
inline flow spline_autoregressive(const architecture_options &options) {
  return detail::create(options, diffeo_spline_autoregressive_create);
}
inline flow glow_image(const image_options &options) { return detail::create(options, diffeo_glow_image_create); }
inline flow realnvp_image(const image_options &options) { return detail::create(options, diffeo_realnvp_image_create); }

/* Two flows as one: through the layers of first, then through those of then, to the base of then. */
inline flow compose(const flow &first, const flow &then) {
  return flow(detail::made<diffeo_flow>([&](auto **made) { return diffeo_flow_compose(first.get(), then.get(), made); }));
}

/* A flow layer by layer: spec(2).add_standardize().add_coupling().add_reverse().add_coupling().build(). */
class spec : public detail::handle<diffeo_spec, diffeo_spec_destroy> {
 public:
  explicit spec(std::int64_t dim, std::int64_t context_dim = 0, std::int32_t dtype = DIFFEO_F32)
      : handle(detail::made<diffeo_spec>([&](auto **made) { return diffeo_spec_create(dim, context_dim, dtype, made); })),
        dim_(dim), context_dim_(context_dim) {}
  static spec image(std::int64_t channels, std::int64_t height, std::int64_t width, std::int64_t context_dim = 0,
                    std::int32_t dtype = DIFFEO_F32) {
    diffeo_spec *owned = detail::made<diffeo_spec>([&](auto **made) {
      return diffeo_spec_create_image(channels, height, width, context_dim, dtype, made);
    });
    return spec(owned, channels * height * width, context_dim);
  }

  /* The flow, with random weights by the seed. The spec can be built again. */
  flow build(std::uint64_t seed = 0) const {
    return flow(detail::made<diffeo_flow>([&](auto **flow) { return diffeo_flow_create(get(), seed, flow); }));
  }

  /* Of what is built from now on: DIFFEO_F32 or DIFFEO_F64. */
  spec &set_dtype(std::int32_t dtype) { return done(diffeo_spec_set_dtype(get(), dtype)); }
  spec &invert() { return done(diffeo_spec_invert(get())); }
  spec &add_autoregressive(const autoregressive_options &options = {}) {
    detail::expect("order_given", options.order_given, dim_);
    return add(diffeo_spec_add_autoregressive, options);
  }
  spec &add_coupling(const coupling_options &options = {}) {
    detail::expect("mask_given", options.mask_given, dim_);
    return add(diffeo_spec_add_coupling, options);
  }
  /* Of columns, or of images of channels. */
  spec &add_permutation(const std::vector<std::int64_t> &permutation) {
    detail::expect("permutation", view<const std::int64_t>(permutation), std::size_t(map()[0]));
    return done(diffeo_spec_add_permutation(get(), permutation.data()));
  }
  spec &add_reverse() { return done(diffeo_spec_add_reverse(get())); }
  spec &add_random_permutation(std::uint64_t seed = 0) { return done(diffeo_spec_add_random_permutation(get(), seed)); }
  spec &add_lu(bool permuted = true, std::uint64_t seed = 0) { return done(diffeo_spec_add_lu(get(), permuted, seed)); }
  spec &add_linear() { return done(diffeo_spec_add_linear(get())); }
  spec &add_householder(std::int64_t reflections) { return done(diffeo_spec_add_householder(get(), reflections)); }
  spec &add_actnorm() { return done(diffeo_spec_add_actnorm(get())); }
  spec &add_elementwise_affine(bool shift = true) { return done(diffeo_spec_add_elementwise_affine(get(), shift)); }
  spec &add_batch_norm(double epsilon = 1e-5, double momentum = 0.1) {
    return done(diffeo_spec_add_batch_norm(get(), epsilon, momentum));
  }
  spec &add_planar() { return done(diffeo_spec_add_planar(get(), nullptr)); }
  spec &add_planar(const network_options &of_context) { return add(diffeo_spec_add_planar, of_context); }
  spec &add_radial() { return done(diffeo_spec_add_radial(get(), nullptr)); }
  spec &add_radial(const network_options &of_context) { return add(diffeo_spec_add_radial, of_context); }
  spec &add_elementwise(const elementwise_options &options = {}) { return add(diffeo_spec_add_elementwise, options); }
  spec &add_squeeze(std::int32_t order = DIFFEO_SQUEEZE_CHANNELS) {
    return done(diffeo_spec_add_squeeze(get(), order));
  }
  spec &add_unsqueeze(std::int32_t order = DIFFEO_SQUEEZE_CHANNELS) {
    return done(diffeo_spec_add_unsqueeze(get(), order));
  }
  spec &add_image_coupling(const image_coupling_options &options = {}) {
    detail::expect("mask_given", options.mask_given, map()[0]);
    return add(diffeo_spec_add_image_coupling, options);
  }
  spec &add_split(const split_options &options = {}) { return add(diffeo_spec_add_split, options); }
  spec &set_standardization(std::int32_t standardization) {
    return done(diffeo_spec_set_standardization(get(), standardization));
  }
  /* Without numbers: from the data, when training begins. */
  spec &add_standardize() { return done(diffeo_spec_add_standardize(get(), nullptr, nullptr)); }
  spec &add_standardize(const std::vector<double> &mean, const std::vector<double> &std) {
    detail::expect("mean", view<const double>(mean), std::size_t(dim_));
    detail::expect("std", view<const double>(std), std::size_t(dim_));
    return done(diffeo_spec_add_standardize(get(), mean.data(), std.data()));
  }
  spec &standardize_context() { return done(diffeo_spec_standardize_context(get(), nullptr, nullptr)); }
  spec &standardize_context(const std::vector<double> &mean, const std::vector<double> &std) {
    detail::expect("mean", view<const double>(mean), std::size_t(context_dim_));
    detail::expect("std", view<const double>(std), std::size_t(context_dim_));
    return done(diffeo_spec_standardize_context(get(), mean.data(), std.data()));
  }
  /* Layers and the base, which are added after it, read so many outputs of a network in place of the context. */
  spec &set_embedding(std::int64_t features) { return done(diffeo_spec_set_embedding(get(), features, nullptr)); }
  spec &set_embedding(std::int64_t features, const network_options &network) {
    const network_options::in_c c_network(network);
    return done(diffeo_spec_set_embedding(get(), features, c_network.get()));
  }
  /* columns: {} for all. low and high: one value for each of them, or {} where the domain has none. */
  spec &add_domain(std::int32_t domain, const std::vector<std::int64_t> &columns, const std::vector<double> &low,
                   const std::vector<double> &high = {}) {
    const std::size_t count = columns.empty() ? std::size_t(dim_) : columns.size();
    detail::expect_or_none("low", view<const double>(low), count);
    detail::expect_or_none("high", view<const double>(high), count);
    return done(diffeo_spec_add_domain(get(), domain, columns.empty() ? nullptr : columns.data(),
                                       std::int64_t(columns.size()), low.empty() ? nullptr : low.data(),
                                       high.empty() ? nullptr : high.data()));
  }
  spec &add_wrap(double low, double high, bool random_shift = false, std::uint64_t seed = 0) {
    return done(diffeo_spec_add_wrap(get(), low, high, random_shift, seed));
  }
  /* Of some columns, each with its own turn. */
  spec &add_wrap_columns(const std::vector<std::int64_t> &columns, const std::vector<double> &low,
                         const std::vector<double> &high, bool random_shift = false, std::uint64_t seed = 0) {
    detail::expect("low", view<const double>(low), columns.size());
    detail::expect("high", view<const double>(high), columns.size());
    return done(diffeo_spec_add_wrap_columns(get(), columns.data(), std::int64_t(columns.size()), low.data(),
                                             high.data(), random_shift, seed));
  }
  spec &add_dequantize(std::int64_t levels) { return done(diffeo_spec_add_dequantize(get(), levels)); }
  /* Of some columns, each with its own levels. */
  spec &add_dequantize_columns(const std::vector<std::int64_t> &columns, const std::vector<std::int64_t> &levels) {
    detail::expect("levels", view<const std::int64_t>(levels), columns.size());
    return done(diffeo_spec_add_dequantize_columns(get(), columns.data(), std::int64_t(columns.size()),
                                                   levels.data()));
  }
  spec &set_base(const base_options &options) { return add(diffeo_spec_set_base, options); }
  spec &set_base_made(const made_options &options = {}) {
    detail::expect("order_given", options.order_given, dim_);
    return add(diffeo_spec_set_base_made, options);
  }

  /* Channels, height and width of images as they are here; dim, 1 and 1 of others. */
  std::vector<std::int64_t> map() const {
    std::vector<std::int64_t> map(3);
    check(diffeo_spec_map(get(), map.data()));
    return map;
  }

 private:
  spec(diffeo_spec *owned, std::int64_t dim, std::int64_t context_dim)
      : handle(owned), dim_(dim), context_dim_(context_dim) {}

  spec &done(diffeo_status status) {
    check(status);
    return *this;
  }
  template <class Add, class Options>
  spec &add(Add function, const Options &options) {
    const typename Options::in_c c_options(options);
    return done(function(get(), c_options.get()));
  }

  std::int64_t dim_, context_dim_;
};

/* ---------------------------------------------------------------------------------------------------- Training */

/* Data sets of an HDF5 file, read when they are needed: diffeo_rows_open. "" for no context, no weights. */
class rows : public detail::handle<diffeo_rows, diffeo_rows_destroy> {
 public:
  static rows open(const std::string &path, const std::string &x, const std::string &context = "",
                   const std::string &weights = "") {
    const auto name = [](const char *what, const std::string &text) {
      return text.empty() ? nullptr : detail::c_string(what, text);
    };
    return rows(detail::made<diffeo_rows>([&](auto **made) {
      return diffeo_rows_open(detail::c_string("path", path), name("x", x), name("context", context),
                              name("weights", weights), made);
    }));
  }
  std::int64_t count() const { return diffeo_rows_count(get()); }
  std::int64_t dim() const { return diffeo_rows_dim(get()); }
  std::int64_t context_dim() const { return diffeo_rows_context_dim(get()); }

 private:
  explicit rows(diffeo_rows *owned) : handle(owned) {}
};

/* Training by steps: one thread at a time, but cancel, which is for any. */
class trainer : public detail::handle<diffeo_trainer, diffeo_trainer_destroy> {
 public:
  template <class X, class T = detail::scalar<const X &>>
  trainer(const flow &flow, const X &x, const train_options &options = {}, detail::in<T> context = {},
          detail::in<T> weights = {})
      : handle(begin<T>(flow, x, options, context, weights)), dim_(flow.dim()), context_dim_(flow.context_dim()) {}
  trainer(const flow &flow, const rows &rows, const train_options &options = {})
      : handle(detail::made<diffeo_trainer>([&](auto **made) {
          return diffeo_trainer_create_rows(flow.get(), train_options::in_c(options).get(), rows.get(), made);
        })),
        dim_(flow.dim()), context_dim_(flow.context_dim()) {}

  /* These rows in place of a fraction, before the first step. */
  template <class X, class T = detail::scalar<const X &>>
  void set_validation(const X &x, detail::in<T> context = {}, detail::in<T> weights = {}) {
    const view<const T> in(x);
    const std::int64_t n = detail::rows("x", in, dim_, "this flow has dim");
    const std::int64_t n_context = detail::rows("context", context, context_dim_, "this flow has context_dim");
    detail::expect_or_none("weights", weights, std::size_t(n));
    check(detail::by_type<T>(diffeo_trainer_set_validation_f32, diffeo_trainer_set_validation_f64)(
        get(), in.data(), n, context.data(), n_context, weights.data()));
  }
  void set_validation(const rows &rows) { check(diffeo_trainer_set_validation_rows(get(), rows.get())); }

  /* So many minibatches, not past the end of the epoch; 0: to its end. */
  train_report step(std::int64_t batches = 0) {
    train_report report = detail::sized<train_report>();
    check(diffeo_trainer_step(get(), batches, &report));
    return report;
  }
  train_report report() const {
    train_report report = detail::sized<train_report>();
    check(diffeo_trainer_report(get(), &report));
    return report;
  }
  bool finished() const { return diffeo_trainer_finished(get()); }
  void set_learning_rate(double rate) { check(diffeo_trainer_set_learning_rate(get(), rate)); }
  /* Steps work in its threads from now on; a hosted one has to stay. */
  void set_workspace(workspace &with) { check(diffeo_trainer_set_workspace(get(), with.get())); }
  flow best() const {
    return flow(detail::made<diffeo_flow>([&](auto **flow) { return diffeo_trainer_best(get(), flow); }));
  }
  flow current() const {
    return flow(detail::made<diffeo_flow>([&](auto **flow) { return diffeo_trainer_current(get(), flow); }));
  }
  /* A checkpoint, and going on from one. */
  void save(const std::string &path) const { check(diffeo_trainer_save(get(), detail::c_string("path", path))); }
  void load(const std::string &path) { check(diffeo_trainer_load(get(), detail::c_string("path", path))); }
  void cancel() noexcept { diffeo_trainer_cancel(get()); }

 private:
  template <class T>
  static diffeo_trainer *begin(const flow &flow, view<const T> x, const train_options &options, view<const T> context,
                               view<const T> weights) {
    const flow::batch<T> given(flow, "x", x, context);
    detail::expect_or_none("weights", weights, std::size_t(given.n));
    const train_options::in_c c_options(options);
    return detail::made<diffeo_trainer>([&](auto **made) {
      return detail::by_type<T>(diffeo_trainer_create_f32, diffeo_trainer_create_f64)(
          flow.get(), c_options.get(), given.x, given.n, given.context, given.n_context, weights.data(), made);
    });
  }

  std::int64_t dim_, context_dim_;
};

/* ---------------------------------------------------------------------------------------- Variational inference */

using variational_report = diffeo_variational_report;

/* log p of the rows of x, up to a constant, to log_density, and d log p / dx to gradient where that is not empty. context:
 * what they were drawn given. What it throws ends the training and comes out of step. */
template <class T>
using target = std::function<void(view<const T> x, view<const T> context, view<T> log_density, view<T> gradient)>;

/* Trains a flow to a target: vi::to<double>(flow, [](auto x, auto context, auto log_density, auto gradient) {...}). */
class vi : public detail::handle<diffeo_vi, diffeo_vi_destroy> {
 public:
  /* context: rows that samples are drawn given, in turns. */
  template <class T, class Target>
  static vi to(const flow &flow, Target &&function, const vi_options &options = {}, detail::in<T> context = {}) {
    auto held = std::make_unique<holder<T>>(std::forward<Target>(function), flow.dim(), flow.context_dim());
    const std::int64_t n_context = detail::rows("context", context, flow.context_dim(), "this flow has context_dim");
    const vi_options::in_c c_options(options);
    diffeo_vi *owned = detail::made<diffeo_vi>([&](auto **made) {
      return detail::by_type<T>(diffeo_vi_create_f32, diffeo_vi_create_f64)(
          flow.get(), c_options.get(), holder<T>::call, held.get(), context.data(), n_context, made);
    });
    held->batch_size = options.batch_size;
    return vi(owned, std::move(held));
  }

  /* So many steps, not past the end of a window; 0: to its end. */
  variational_report step(std::int64_t steps = 0) {
    return stepped([&](variational_report *report) { return diffeo_vi_step(get(), steps, report); });
  }
  /* One, with batch_size contexts of its own; to grad_context, or {}, the derivative of the bound in them. */
  template <class X, class T = detail::scalar<const X &>>
  variational_report step_given(const X &context, detail::out<T> grad_context = {}) {
    const view<const T> given(context);
    detail::expect("context", given, std::size_t(held_->batch_size * held_->context_dim));
    detail::expect_or_none("grad_context", grad_context, given.size());
    return stepped([&](variational_report *report) {
      return detail::by_type<T>(diffeo_vi_step_given_f32, diffeo_vi_step_given_f64)(get(), given.data(),
                                                                                   grad_context.data(), report);
    });
  }
  variational_report report() const {
    variational_report report = detail::sized<variational_report>();
    check(diffeo_vi_report(get(), &report));
    return report;
  }
  bool finished() const { return diffeo_vi_finished(get()); }
  void set_learning_rate(double rate) { check(diffeo_vi_set_learning_rate(get(), rate)); }
  /* As of a trainer. */
  void set_workspace(workspace &with) { check(diffeo_vi_set_workspace(get(), with.get())); }
  flow best() const {
    return flow(detail::made<diffeo_flow>([&](auto **flow) { return diffeo_vi_best(get(), flow); }));
  }
  flow current() const {
    return flow(detail::made<diffeo_flow>([&](auto **flow) { return diffeo_vi_current(get(), flow); }));
  }
  void save(const std::string &path) const { check(diffeo_vi_save(get(), detail::c_string("path", path))); }
  void load(const std::string &path) { check(diffeo_vi_load(get(), detail::c_string("path", path))); }
  void cancel() noexcept { diffeo_vi_cancel(get()); }

 private:
  /* The target, which the handle knows the place of, and what it has thrown. */
  struct any_holder {
    any_holder(std::int64_t columns, std::int64_t context_columns) : dim(columns), context_dim(context_columns) {}
    virtual ~any_holder() = default;
    std::int64_t dim, context_dim;
    std::int64_t batch_size = 0;
    std::exception_ptr thrown;
  };
  template <class T>
  struct holder : any_holder {
    template <class Target>
    holder(Target &&target, std::int64_t columns, std::int64_t context_columns)
        : any_holder(columns, context_columns), function(std::forward<Target>(target)) {}
    static int call(void *user, std::int64_t n, const T *x, const T *context, T *log_density, T *gradient) noexcept {
      holder &self = *static_cast<holder *>(user);
      const std::size_t rows = std::size_t(n), numbers = rows * std::size_t(self.dim);
      try {
        self.function({x, numbers}, {context, context ? rows * std::size_t(self.context_dim) : 0}, {log_density, rows},
                      {gradient, gradient ? numbers : 0});
        return 0;
      } catch (...) {
        self.thrown = std::current_exception();
        return 1;
      }
    }
    target<T> function;
  };

  vi(diffeo_vi *owned, std::unique_ptr<any_holder> held) : handle(owned), held_(std::move(held)) {}

  template <class Step>
  variational_report stepped(Step step) {
    variational_report report = detail::sized<variational_report>();
    const diffeo_status status = step(&report);
    if (held_->thrown) std::rethrow_exception(std::exchange(held_->thrown, nullptr));
    check(status);
    return report;
  }

  std::unique_ptr<any_holder> held_;
};

/* ---------------------------------------------------------------------------------- An optimizer for your gradients */

class optimizer : public detail::handle<diffeo_optimizer, diffeo_optimizer_destroy> {
 public:
  explicit optimizer(const flow &flow, const train_options &options = {}, std::int64_t total_steps = 0)
      : handle(detail::made<diffeo_optimizer>([&](auto **made) {
          return diffeo_optimizer_create(flow.get(), train_options::in_c(options).get(), total_steps, made);
        })),
        parameter_count_(flow.parameter_count()) {}

  /* To a smaller loss, by dL/d(parameters). */
  template <class X, class T = detail::scalar<const X &>>
  train_report step(const X &gradient) {
    const view<const T> given(gradient);
    detail::expect("gradient", given, std::size_t(parameter_count_));
    train_report report = detail::sized<train_report>();
    check(detail::by_type<T>(diffeo_optimizer_step_f32, diffeo_optimizer_step_f64)(get(), given.data(), &report));
    return report;
  }
  train_report report() const {
    train_report report = detail::sized<train_report>();
    check(diffeo_optimizer_report(get(), &report));
    return report;
  }
  void set_learning_rate(double rate) { check(diffeo_optimizer_set_learning_rate(get(), rate)); }
  /* As of a trainer. */
  void set_workspace(workspace &with) { check(diffeo_optimizer_set_workspace(get(), with.get())); }
  flow current() const {
    return flow(detail::made<diffeo_flow>([&](auto **flow) { return diffeo_optimizer_current(get(), flow); }));
  }
  flow average() const {
    return flow(detail::made<diffeo_flow>([&](auto **flow) { return diffeo_optimizer_average(get(), flow); }));
  }
  void save(const std::string &path) const { check(diffeo_optimizer_save(get(), detail::c_string("path", path))); }
  void load(const std::string &path) { check(diffeo_optimizer_load(get(), detail::c_string("path", path))); }

 private:
  std::int64_t parameter_count_;
};

} // namespace diffeo

#endif
