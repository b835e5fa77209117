// diffeo.hpp does what diffeo.h does, with the same bits, refuses sizes that do not fit, and ends what it holds.
#include <diffeo.hpp>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif
#ifdef WITH_EIGEN
#include <Eigen/Dense>
#endif

#define CHECK(condition) \
  do { \
    if (!(condition)) std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), std::exit(1); \
  } while (0)

// Of what is allocated by C++. (Inlined, they would not match in the eyes of GCC.)
static long allocations = 0;
[[gnu::noinline]] void *operator new(std::size_t size) {
  allocations++;
  if (void *memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

// The call throws this status, with these words in it.
template <class Call>
static void fails(diffeo_status status, const char *words, Call call) {
  try {
    call();
  } catch (const diffeo::error &error) {
    if (error.status() == status && std::strstr(error.what(), words)) return;
    std::printf("not '%s' but %d: %s\n", words, error.status(), error.what());
    std::exit(1);
  }
  std::printf("no error: %s\n", words);
  std::exit(1);
}

static std::vector<double> numbers(std::size_t count) {
  std::vector<double> values(count);
  std::uint64_t state = 1;
  for (double &value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = double(state >> 11) / 9007199254740992.0 * 4 - 2;
  }
  return values;
}

static diffeo::flow small_flow(std::int64_t context_dim = 0) {
  return diffeo::maf(diffeo::architecture_options()
                         .set_dim(3)
                         .set_context_dim(context_dim)
                         .set_transforms(2)
                         .set_dtype(DIFFEO_F64)
                         .set_standardize(0)
                         .set_seed(3)
                         .set_network(diffeo::network_options().set_hidden({16, 16})));
}

// ---------------------------------------------------------------------------------------------------------- types

template <class T>
constexpr bool moves = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                       !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(moves<diffeo::flow> && moves<diffeo::spec> && moves<diffeo::workspace>);
static_assert(moves<diffeo::trainer> && moves<diffeo::rows>);
static_assert(std::is_base_of_v<std::runtime_error, diffeo::error>);

using Read = diffeo::view<const float>;
using Written = diffeo::view<float>;
static_assert(std::is_convertible_v<std::vector<float> &, Read> && std::is_convertible_v<std::vector<float> &, Written>);
static_assert(std::is_convertible_v<const std::vector<float> &, Read>);
static_assert(!std::is_convertible_v<const std::vector<float> &, Written>);
static_assert(std::is_convertible_v<std::array<float, 4> &, Written> && std::is_convertible_v<float (&)[3], Written>);
static_assert(std::is_convertible_v<Written, Read> && !std::is_convertible_v<Read, Written>);
static_assert(!std::is_convertible_v<std::vector<double> &, Read> && !std::is_convertible_v<std::vector<int> &, Read>);
static_assert(!std::is_convertible_v<std::string &, Read>);
#if __cplusplus >= 202002L
static_assert(std::is_convertible_v<std::span<float>, Written> && std::is_convertible_v<std::span<const float>, Read>);
static_assert(!std::is_convertible_v<std::span<const float>, Written>);
#endif

static void views() {
  float array[2][3] = {{1, 2, 3}, {4, 5, 6}};
  const diffeo::view<const float> whole(array);
  CHECK(whole.size() == 6 && whole.width() == 3 && whole[5] == 6 && *whole.begin() == 1 && whole.end() - whole.begin() == 6);
  const diffeo::view<const float> part(array[1], 2);
  CHECK(part.size() == 2 && part.width() == 0 && part[0] == 4);
  CHECK(diffeo::view<const float>().empty() && diffeo::view<const float>().data() == nullptr);
}

// ------------------------------------------------------------------------------------------------------ evaluation

// T: of the buffers. c_log_prob and so on: the functions of diffeo.h for them.
template <class T, class LogProb, class Gradient, class Way, class Sample>
static void evaluation(LogProb c_log_prob, Gradient c_gradient, Way c_to, Way c_from, Sample c_sample) {
  for (const std::int64_t context_dim : {0, 2}) {
    const diffeo::flow flow = small_flow(context_dim);
    const std::int64_t n = 5, wide = context_dim * n;
    const std::vector<double> given = numbers(3 * 5);
    const std::vector<T> x(given.begin(), given.end());
    const std::vector<T> context(std::size_t(wide), T(0.3));
    const T *c_context = wide ? context.data() : nullptr;
    const std::int64_t n_context = wide ? n : 0;
    diffeo::workspace scratch(2);
    CHECK(scratch.threads() == 2);

    std::vector<T> a(5), b(5), grad_a(15), grad_b(15), context_a(context.size()), context_b(context.size());
    flow.log_prob(x, a, context, &scratch);
    CHECK(c_log_prob(flow.get(), x.data(), n, c_context, n_context, nullptr, b.data()) == DIFFEO_OK);
    CHECK(a == b && std::isfinite(a[0]));
    flow.log_prob_gradient(x, a, grad_a, context_a, context);
    CHECK(c_gradient(flow.get(), x.data(), n, c_context, n_context, nullptr, b.data(), grad_b.data(),
                     wide ? context_b.data() : nullptr) == DIFFEO_OK);
    CHECK(a == b && grad_a == grad_b && context_a == context_b && grad_a[0] != 0);
    flow.log_prob_gradient(x, {}, grad_a, {}, context);
    CHECK(grad_a == grad_b);

    flow.to_noise(x, grad_a, a, context, &scratch);
    CHECK(c_to(flow.get(), x.data(), n, c_context, n_context, nullptr, grad_b.data(), b.data()) == DIFFEO_OK);
    CHECK(grad_a == grad_b && a == b);
    const std::vector<T> z = grad_a;
    flow.from_noise(z, grad_a, {}, context);
    CHECK(c_from(flow.get(), z.data(), n, c_context, n_context, nullptr, grad_b.data(), nullptr) == DIFFEO_OK);
    CHECK(grad_a == grad_b);

    flow.sample(7, grad_a, a, 11, context, &scratch);
    CHECK(c_sample(flow.get(), 7, 11, n, c_context, n_context, nullptr, grad_b.data(), b.data()) == DIFFEO_OK);
    CHECK(grad_a == grad_b && a == b);

    const long before = allocations;
    flow.log_prob(x, a, context, &scratch);
    flow.log_prob_gradient(x, a, grad_a, context_a, context, &scratch);
    flow.sample(7, grad_a, a, 0, context, &scratch);
    CHECK(allocations == before);
  }
}

// Threads of the host's: the same bits, and nothing allocated by diffeo.hpp on the way.
static void hosted() {
  const diffeo::flow flow = small_flow();
  const std::vector<double> x = numbers(3 * 3000);
  std::vector<double> expected(3000), found(3000);
  flow.log_prob(x, expected);
  std::atomic<int> calls{0}, jobs{0};
  diffeo::workspace made = diffeo::workspace::hosted(3, [&](diffeo::job job, std::int32_t count) {
    calls++;
    std::thread other([&] {
      for (std::int32_t i = 1; i < count; i++) job(i), jobs++;
    });
    job(0);
    other.join();
  });
  diffeo::workspace scratch = std::move(made);
  CHECK(scratch.threads() == 3);
  flow.log_prob(x, found, {}, &scratch);
  CHECK(found == expected && calls > 0 && jobs > 0);
  diffeo::workspace in_turn = diffeo::workspace::hosted(2, [](diffeo::job job, std::int32_t count) {
    for (std::int32_t i = 0; i < count; i++) job(i);
  });
  flow.log_prob(x, found, {}, &in_turn);
  const long before = allocations;
  flow.log_prob(x, found, {}, &in_turn);
  CHECK(found == expected && allocations == before);
  fails(DIFFEO_EINVAL, "parallel is NULL", [] { (void)diffeo::workspace::hosted(2, {}); });

  diffeo::workspace team(2);
  fails(DIFFEO_EINVAL, "", [&] { team.pin({}); });
  fails(DIFFEO_EINVAL, "4000", [&] { team.pin({4000}); }); // there is no such processor
}

static void containers() {
  const diffeo::flow flow = small_flow();
  const std::vector<double> x = numbers(6);
  double expected[2];
  flow.log_prob(x, expected);

  std::array<double, 6> in_array;
  std::copy(x.begin(), x.end(), in_array.begin());
  std::array<double, 2> out;
  flow.log_prob(in_array, out);
  CHECK(out[0] == expected[0] && out[1] == expected[1]);
  double in_c[2][3] = {{x[0], x[1], x[2]}, {x[3], x[4], x[5]}};
  flow.log_prob(in_c, out);
  CHECK(out[0] == expected[0] && out[1] == expected[1]);
  flow.log_prob(diffeo::view<const double>(x.data() + 3, 3), diffeo::view<double>(&out[0], 1));
  CHECK(out[0] == expected[1]);
  fails(DIFFEO_ESHAPE, "x has rows of 2 values, this flow has dim 3", [&] {
    double narrow[3][2] = {};
    flow.log_prob(narrow, out);
  });
#if __cplusplus >= 202002L
  flow.log_prob(std::span<const double>(x), std::span<double>(out));
  CHECK(out[0] == expected[0] && out[1] == expected[1]);
#endif
#ifdef WITH_EIGEN
  Eigen::MatrixXd columns(3, 2); // a row of the batch in each column
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows(2, 3);
  for (int row = 0; row < 2; row++)
    for (int i = 0; i < 3; i++) columns(i, row) = rows(row, i) = x[std::size_t(3 * row + i)];
  Eigen::VectorXd log_prob(2);
  flow.log_prob(columns, log_prob);
  CHECK(log_prob[0] == expected[0] && log_prob[1] == expected[1]);
  flow.log_prob(rows, log_prob);
  CHECK(log_prob[0] == expected[0] && log_prob[1] == expected[1]);
  flow.log_prob(Eigen::Map<const Eigen::MatrixXd>(x.data(), 3, 2), Eigen::Map<Eigen::VectorXd>(log_prob.data(), 2));
  flow.log_prob(Eigen::Matrix<double, 3, 2>(columns), log_prob);
  CHECK(log_prob[0] == expected[0] && log_prob[1] == expected[1]);
  flow.log_prob(columns.col(1), log_prob.head(1));
  CHECK(log_prob[0] == expected[1]);
  fails(DIFFEO_ESHAPE, "x has rows of 2 values, this flow has dim 3",
        [&] { flow.log_prob(Eigen::MatrixXd(2, 3), log_prob); });
  fails(DIFFEO_EINVAL, "a matrix of 3 x 2 has gaps", [&] {
    Eigen::MatrixXd larger(5, 2);
    flow.log_prob(larger.topRows(3), log_prob);
  });
  fails(DIFFEO_EINVAL, "a matrix of 1 x 3 has gaps", [&] { flow.log_prob(Eigen::MatrixXd(5, 3).row(0), log_prob); });
  flow.sample(1, columns);
  std::vector<double> same(6);
  flow.sample(1, same);
  CHECK(std::memcmp(same.data(), columns.data(), sizeof(double) * 6) == 0);
#endif
}

static void sizes() {
  const diffeo::flow flow = small_flow(), conditional = small_flow(2);
  std::vector<double> x(12), out(4), wrong(5), context(8);
  const std::vector<double> none;
  flow.log_prob(none, {});
  fails(DIFFEO_ESHAPE, "x has 5 values, which are no whole rows: this flow has dim 3", [&] { flow.log_prob(wrong, out); });
  fails(DIFFEO_ESHAPE, "log_prob has 5 values, 4 are needed", [&] { flow.log_prob(x, wrong); });
  fails(DIFFEO_ESHAPE, "log_prob has 0 values, 4 are needed", [&] { flow.log_prob(x, {}); });
  fails(DIFFEO_ESHAPE, "grad_x has 4 values, which are no whole rows", [&] { flow.log_prob_gradient(x, {}, out); });
  fails(DIFFEO_ESHAPE, "grad_context has 4 values, this flow has rows of 0",
        [&] { flow.log_prob_gradient(x, {}, x, out); });
  fails(DIFFEO_ESHAPE, "z has 0 values, 12 are needed", [&] { flow.to_noise(x, {}); });
  fails(DIFFEO_ESHAPE, "log_det has 5 values, 4 are needed", [&] { flow.from_noise(x, x, wrong); });
  fails(DIFFEO_ESHAPE, "context has 8 values, this flow has context_dim 0", [&] { flow.log_prob(x, out, context); });
  fails(DIFFEO_ESHAPE, "context has 5 values, which are no whole rows: this flow has context_dim 2",
        [&] { conditional.log_prob(x, out, wrong); });
  fails(DIFFEO_ESHAPE, "which is 4, not 6", [&] { conditional.log_prob(x, out, x); }); // said by the library
  fails(DIFFEO_ESHAPE, "context is NULL", [&] { conditional.log_prob(x, out); });
  fails(DIFFEO_ESHAPE, "weights has 5 values, 4 are needed", [&] { flow.fit(x, {}, {}, wrong); });
  fails(DIFFEO_ESHAPE, "parameters has 5 values", [&] { flow.parameters(wrong); });
  fails(DIFFEO_ESHAPE, "parameters has 5 values", [&] { (void)flow.with_parameters(wrong); });
  fails(DIFFEO_ESHAPE, "permutation has 2 values, 3 are needed", [] { diffeo::spec(3).add_permutation({1, 0}); });
  fails(DIFFEO_ESHAPE, "mean has 2 values, 3 are needed", [] { diffeo::spec(3).add_standardize({1, 0}, {1, 1, 1}); });
  fails(DIFFEO_ESHAPE, "high has 1 values, 2 are needed",
        [] { diffeo::spec(3).add_domain(DIFFEO_DOMAIN_LOGIT, {0, 2}, {0, 0}, {1}); });
  fails(DIFFEO_ESHAPE, "order_given has 2 values, 3 are needed", [] {
    diffeo::spec(3).add_autoregressive(
        diffeo::autoregressive_options().set_order(DIFFEO_ORDER_GIVEN).set_order_given({1, 0}));
  });
  fails(DIFFEO_ESHAPE, "mask_given has 4 values, 3 are needed",
        [] { diffeo::spec(3).add_coupling(diffeo::coupling_options().set_mask_given({1, 0, 1, 0})); });

  diffeo::flow moved = small_flow();
  const diffeo::flow owner = std::move(moved);
  CHECK(owner && !moved && moved.get() == nullptr); // NOLINT: what is left behind is empty
  fails(DIFFEO_ESHAPE, "this flow has dim 0", [&] { moved.log_prob(x, out); });
  fails(DIFFEO_EINVAL, "NULL", [&] { moved.save("nowhere.h5"); });
}

// --------------------------------------------------------------------------------------- files, words, parameters

static void files(const std::string &folder) {
  diffeo::flow flow = small_flow();
  CHECK(flow.dim() == 3 && flow.context_dim() == 0 && flow.dtype() == DIFFEO_F64 && flow.layer_count() >= 2);
  CHECK(flow.shape() == std::vector<std::int64_t>{3});
  CHECK(flow.describe().find("autoregressive") != std::string::npos && flow.describe().back() != '\0');
  flow.set_metadata("author", "n\u00e9ant");
  flow.set_metadata("empty", "");
  CHECK(flow.metadata("author") == "n\u00e9ant" && flow.metadata("empty").empty());
  CHECK((flow.metadata_keys() == std::vector<std::string>{"author", "empty"}));
  flow.remove_metadata("empty");
  CHECK(flow.metadata_keys().size() == 1);
  fails(DIFFEO_EINVAL, "empty", [&] { (void)flow.metadata("empty"); });
  fails(DIFFEO_EINVAL, "value has a character 0 inside", [&] { flow.set_metadata("a", std::string("b\0c", 3)); });

  const std::vector<double> x = numbers(6);
  std::array<double, 2> expected, found;
  flow.log_prob(x, expected);
  const std::string path = folder + "/front.h5";
  flow.save(path);
  const diffeo::flow loaded = diffeo::flow::load(path);
  loaded.log_prob(x, found);
  CHECK(found == expected && loaded.metadata("author") == flow.metadata("author"));
  const diffeo::flow from_memory = diffeo::flow::load_memory(flow.save_memory());
  from_memory.log_prob(x, found);
  CHECK(found == expected);
  fails(DIFFEO_EIO, "nothing.h5", [&] { (void)diffeo::flow::load(folder + "/nothing.h5"); });
  fails(DIFFEO_EINVAL, "path has a character 0", [&] { (void)diffeo::flow::load(std::string("a\0b", 3)); });
  fails(DIFFEO_EFORMAT, "", [&] { (void)diffeo::flow::load_memory(std::vector<unsigned char>(100)); });

  std::vector<float> parameters(std::size_t(flow.parameter_count()));
  flow.parameters(parameters);
  const diffeo::flow zero = flow.with_parameters(std::vector<float>(parameters.size()));
  zero.log_prob(x, found);
  CHECK(found != expected);
  const std::vector<std::uint8_t> trained = flow.trained_parameters();
  CHECK(trained.size() == parameters.size() && trained.back() <= 1);

  diffeo_flow *given = diffeo::flow::load(path).release();
  CHECK(diffeo::flow(given).dim() == 3);
  const auto [low, high] = diffeo::option_bounds("spline.bins");
  CHECK(low == 2 && high == 64);
  fails(DIFFEO_EINVAL, "nothing", [] { (void)diffeo::option_bounds("nothing"); });
  fails(DIFFEO_EINVAL, "", [] { diffeo::workspace too_many(1000); });
}

// --------------------------------------------------------------------------------------------------------- building

static void building() {
  const diffeo::spline_options spline = diffeo::spline_options().set_bins(5).set_low(-3).set_high(3);
  const diffeo::flow all =
      diffeo::spec(3, 2, DIFFEO_F64)
          .set_standardization(DIFFEO_STANDARDIZE_ROBUST)
          .add_domain(DIFFEO_DOMAIN_LOG, {0}, {-10})
          .add_standardize({0, 0, 0}, {1, 1, 1})
          .standardize_context({0, 0}, {1, 1})
          .add_autoregressive()
          .invert()
          .add_reverse()
          .add_coupling(diffeo::coupling_options()
                            .set_mask(DIFFEO_MASK_GIVEN)
                            .set_mask_given({1, 0, 0})
                            .set_network(diffeo::network_options().set_hidden({8}).set_activation(DIFFEO_TANH))
                            .set_map(diffeo::map_options().set_map(DIFFEO_MAP_SPLINE).set_spline(spline)))
          .add_permutation({2, 0, 1})
          .add_random_permutation(4)
          .add_lu()
          .add_linear()
          .add_householder(2)
          .add_actnorm()
          .add_elementwise_affine()
          .add_batch_norm()
          .add_planar()
          .add_radial(diffeo::network_options().set_hidden({}))
          .add_elementwise(diffeo::elementwise_options().set_columns({1}))
          .set_base(diffeo::base_options().set_base(DIFFEO_BASE_STUDENT_T).set_df(7))
          .build(5);
  CHECK(all.layer_count() == 16);
  CHECK(all.describe().find("5 bins") != std::string::npos);
  const diffeo::flow angles = diffeo::spec(2)
                                  .add_wrap(-3, 3)
                                  .set_base(diffeo::base_options().set_base(DIFFEO_BASE_UNIFORM).set_low(-3).set_high(3))
                                  .build();
  CHECK(angles.dim() == 2);
  const std::vector<double> x = numbers(6), shifted{x[0] - 1, x[1] - 1, x[2] - 1, x[3] - 1, x[4] - 1, x[5] - 1};
  std::vector<double> expected(2), found(2);
  diffeo::spec shift = diffeo::spec(3);
  shift.set_dtype(DIFFEO_F64).add_standardize({1, 1, 1}, {1, 1, 1});
  const diffeo::flow flow = small_flow();
  const diffeo::flow composed = diffeo::compose(shift.build(), flow);
  flow.log_prob(shifted, expected);
  composed.log_prob(x, found);
  CHECK(found == expected && composed.layer_count() == flow.layer_count() + 1);
  fails(DIFFEO_EDTYPE, "float32", [&] { (void)diffeo::compose(diffeo::spec(3).add_actnorm().build(), flow); });
  const diffeo::flow embedded = diffeo::spec(2, 5).set_embedding(3).add_coupling().build();
  CHECK(embedded.context_dim() == 5);
  const diffeo::flow linear =
      diffeo::spec(2, 5).set_embedding(3, diffeo::network_options().set_hidden({})).add_coupling().build();
  CHECK(linear.parameter_count() < embedded.parameter_count());
  fails(DIFFEO_ESTATE, "embedding", [] { diffeo::spec(2, 5).add_coupling().set_embedding(3); });
  const diffeo::flow made = diffeo::spec(2).set_base_made(diffeo::made_options().set_masks(2)).build();
  CHECK(made.layer_count() == 0);

  diffeo::spec image = diffeo::spec::image(1, 4, 4);
  image.add_dequantize(16).add_squeeze();
  CHECK((image.map() == std::vector<std::int64_t>{4, 2, 2}));
  image.add_image_coupling(diffeo::image_coupling_options()
                               .set_mask(DIFFEO_IMAGE_MASK_GIVEN)
                               .set_mask_given({1, 1, 0, 0})
                               .set_network(diffeo::convolution_options().set_hidden({4})))
      .add_permutation({3, 2, 1, 0})
      .add_unsqueeze(DIFFEO_SQUEEZE_PLACES)
      .add_squeeze()
      .add_split();
  fails(DIFFEO_EINVAL, "2 channels", [&] { image.add_unsqueeze(); });
  const diffeo::flow of_images = image.build();
  CHECK((of_images.shape() == std::vector<std::int64_t>{1, 4, 4}));
  std::vector<float> bits(1);
  of_images.bits_per_dim(std::vector<float>(16, 3.0f), bits);
  CHECK(bits[0] > 0);
  std::vector<float> pixels(16);
  of_images.sample_tempered(0.5, 1, pixels, bits);
  CHECK(diffeo::glow_image(diffeo::image_options().set_channels(1).set_height(4).set_width(4)).dim() == 16);

  for (auto create : {diffeo::nice, diffeo::realnvp, diffeo::glow, diffeo::made, diffeo::maf, diffeo::iaf, diffeo::planar,
                      diffeo::radial, diffeo::cdf_flow, diffeo::spline_coupling, diffeo::spline_autoregressive})
    CHECK(create(diffeo::architecture_options().set_dim(2).set_network(diffeo::network_options().set_hidden({8}))).dim() == 2);
  fails(DIFFEO_EINVAL, "dim", [] { (void)diffeo::maf({}); });
  fails(DIFFEO_EINVAL, "bins", [] {
    diffeo::spec(2).add_coupling(diffeo::coupling_options().set_map(
        diffeo::map_options().set_map(DIFFEO_MAP_SPLINE).set_spline(diffeo::spline_options().set_bins(1000))));
  });
#if __cplusplus >= 202002L
  const diffeo::flow designated =
      diffeo::realnvp({.dim = 4, .seed = 2, .network = diffeo::network_options{.hidden = {{8, 8}}, .dropout = 0.1}});
  CHECK(designated.dim() == 4);
  const diffeo::train_options options{.batch_size = 7, .learning_rate = 0.5};
  CHECK(options.batch_size == 7 && options.learning_rate == 0.5 && options.max_epochs == 100);
#endif
}

// --------------------------------------------------------------------------------------------------------- training

static void training(const std::string &folder) {
  const diffeo::flow start = small_flow();
  const std::vector<double> x = numbers(3 * 200);
  const auto options = diffeo::train_options().set_max_epochs(3).set_batch_size(50).set_seed(4);
  int epochs = 0;
  diffeo::train_report report;
  const diffeo::flow trained = start.fit(x, options, {}, {}, [&](const diffeo::train_report &now) {
    CHECK(now.epoch == ++epochs);
    return true;
  }, &report);
  CHECK(epochs == 3 && report.epoch == 3 && report.state == DIFFEO_TRAIN_MAX_EPOCHS);

  diffeo::trainer trainer(start, x, options);
  CHECK(trainer.step().epoch == 1 && !trainer.finished());
  trainer.save(folder + "/front-checkpoint.h5");
  diffeo::trainer again(start, x, options);
  again.load(folder + "/front-checkpoint.h5");
  while (!again.finished()) again.step(1);
  std::vector<double> a(std::size_t(start.parameter_count())), b(a.size());
  trained.parameters(a);
  again.best().parameters(b);
  CHECK(a == b && again.report().epoch == 3);

  // In threads of the host's.
  int asked = 0;
  diffeo::workspace of_host = diffeo::workspace::hosted(2, [&](diffeo::job job, std::int32_t count) {
    asked++;
    for (std::int32_t i = count; i-- > 0;) job(i);
  });
  diffeo::trainer guest(start, x, options);
  guest.set_workspace(of_host);
  while (!guest.finished()) guest.step();
  guest.current().parameters(a);
  again.current().parameters(b);
  CHECK(a == b && asked > 0);

  // Stopped, by an answer and by an exception.
  const diffeo::flow stopped = start.fit(x, options, {}, {}, [](const diffeo::train_report &) { return false; }, &report);
  CHECK(stopped.dim() == 3 && report.epoch == 1 && report.state == DIFFEO_TRAIN_CANCELLED);
  try {
    start.fit(x, options, {}, {}, [](const diffeo::train_report &) -> bool { throw std::logic_error("mine"); });
    CHECK(false);
  } catch (const std::logic_error &error) {
    CHECK(std::string(error.what()) == "mine");
  }
  std::vector<double> bad = x;
  bad[4] = std::nan("");
  fails(DIFFEO_ENUMERIC, "row 1", [&] { start.fit(bad); });
  fails(DIFFEO_EINVAL, "batch_size", [&] { start.fit(x, diffeo::train_options().set_batch_size(0)); });

  // Cancelled from another thread, weights, rows to validate on.
  diffeo::trainer long_one(start, x, diffeo::train_options().set_max_epochs(1000000).set_patience(0), {},
                           std::vector<double>(200, 2.0));
  long_one.set_validation(numbers(30));
  long_one.set_learning_rate(1e-3);
  std::thread other([&] { long_one.cancel(); });
  fails(DIFFEO_ECANCELLED, "", [&] {
    for (;;) long_one.step();
  });
  other.join();
  CHECK(long_one.finished() && long_one.report().state == DIFFEO_TRAIN_CANCELLED);
  fails(DIFFEO_EIO, "nothing.h5", [&] { (void)diffeo::rows::open(folder + "/nothing.h5", "x"); });
}

// -------------------------------------------------------------------------------- gradients, targets, an optimizer

static void gradients() {
  const diffeo::flow flow = small_flow(2);
  constexpr std::size_t n = 4;
  const std::size_t count = std::size_t(flow.parameter_count());
  const std::vector<double> x = numbers(3 * n), context = numbers(2 * n), g = numbers(n), g_x = numbers(3 * n);
  std::vector<double> a(3 * n), b(3 * n), context_a(2 * n), context_b(2 * n), all_a(count), all_b(count), out(n), rows(3 * n);
  flow.log_prob_vjp(x, g, out, a, context_a, all_a, context);
  CHECK(diffeo_flow_log_prob_vjp_f64(flow.get(), x.data(), n, context.data(), n, g.data(), nullptr, nullptr, b.data(),
                                     context_b.data(), all_b.data()) == DIFFEO_OK);
  CHECK(a == b && context_a == context_b && all_a == all_b && a[0] != 0);
  flow.to_noise_vjp(x, g_x, g, rows, out, a, context_a, all_a, context);
  CHECK(diffeo_flow_to_noise_vjp_f64(flow.get(), x.data(), n, context.data(), n, g_x.data(), g.data(), nullptr, nullptr,
                                     nullptr, b.data(), context_b.data(), all_b.data()) == DIFFEO_OK);
  CHECK(a == b && context_a == context_b && all_a == all_b);
  flow.from_noise_vjp(x, g_x, {}, {}, {}, a, {}, all_a, context);
  CHECK(diffeo_flow_from_noise_vjp_f64(flow.get(), x.data(), n, context.data(), n, g_x.data(), nullptr, nullptr, nullptr,
                                       nullptr, b.data(), nullptr, all_b.data()) == DIFFEO_OK);
  CHECK(a == b && all_a == all_b);
  flow.sample_vjp(3, 5, g_x, g, a, out, context_a, all_a, context);
  CHECK(diffeo_flow_sample_vjp_f64(flow.get(), 3, 5, n, context.data(), n, g_x.data(), g.data(), nullptr, b.data(), nullptr,
                                   context_b.data(), all_b.data()) == DIFFEO_OK);
  CHECK(a == b && context_a == context_b && all_a == all_b);
  fails(DIFFEO_ESHAPE, "grad_parameters has 12 values", [&] { flow.log_prob_vjp(x, g, {}, {}, {}, a, context); });
  fails(DIFFEO_ESHAPE, "g_z has 4 values", [&] { flow.to_noise_vjp(x, g, {}, {}, {}, {}, {}, {}, context); });

  // A step against the gradient of the mean of -log_prob makes it smaller.
  const std::vector<double> weights(n, -1.0 / double(n));
  std::vector<double> before(n), after(n), gradient(count);
  flow.log_prob_vjp(x, weights, before, {}, {}, gradient, context);
  diffeo::optimizer optimizer(flow, diffeo::train_options().set_learning_rate(1e-3));
  CHECK(optimizer.step(gradient).steps == 1 && optimizer.report().steps == 1);
  optimizer.current().log_prob(x, after, context);
  CHECK(after[0] + after[1] + after[2] + after[3] > before[0] + before[1] + before[2] + before[3]);
  fails(DIFFEO_ESHAPE, "gradient has 4 values", [&] { optimizer.step(weights); });
  fails(DIFFEO_ESTATE, "", [&] { (void)optimizer.average(); });
}

static void targets() {
  const auto options = diffeo::vi_options().set_steps(300).set_batch_size(64).set_window(100);
  // A normal distribution around 1, whose evidence is 0.
  diffeo::vi vi = diffeo::vi::to<double>(small_flow(), [](auto x, auto context, auto log_density, auto gradient) {
    CHECK(context.empty() && x.size() == 3 * log_density.size());
    for (std::size_t i = 0; i < log_density.size(); i++) log_density[i] = -1.5 * std::log(2 * 3.141592653589793);
    for (std::size_t i = 0; i < x.size(); i++) {
      log_density[i / 3] -= 0.5 * (x[i] - 1) * (x[i] - 1);
      if (!gradient.empty()) gradient[i] = 1 - x[i];
    }
  }, options);
  diffeo::variational_report report = vi.step();
  CHECK(report.steps == 100 && !vi.finished());
  while (!vi.finished()) report = vi.step();
  CHECK(std::abs(report.log_evidence) < 0.1 && vi.report().steps == 300);
  std::vector<double> samples(3 * 1000);
  vi.best().sample(1, samples);
  double mean = 0;
  for (const double value : samples) mean += value / double(samples.size());
  CHECK(std::abs(mean - 1) < 0.15);

  diffeo::vi thrown = diffeo::vi::to<float>(small_flow(), [](auto, auto, auto, auto) { throw std::logic_error("mine"); });
  diffeo::vi moved = std::move(thrown);
  try {
    moved.step();
    CHECK(false);
  } catch (const std::logic_error &error) {
    CHECK(std::string(error.what()) == "mine");
  }
  // Contexts of an encoder.
  diffeo::vi given = diffeo::vi::to<double>(small_flow(2), [](auto x, auto context, auto log_density, auto gradient) {
    CHECK(context.size() == 2 * log_density.size());
    for (double &value : log_density) value = 0;
    for (std::size_t i = 0; i < x.size(); i++) {
      log_density[i / 3] -= 0.5 * x[i] * x[i];
      if (!gradient.empty()) gradient[i] = -x[i];
    }
  }, options, std::vector<double>{0, 0});
  std::vector<double> grad_context(2 * 64);
  CHECK(given.step_given(numbers(2 * 64), grad_context).steps == 1);
  fails(DIFFEO_ESHAPE, "context has 2 values, 128 are needed", [&] { given.step_given(numbers(2)); });
}

int main(int, char **arguments) {
  const std::string folder = arguments[1];
  views();
  evaluation<float>(diffeo_flow_log_prob_f32, diffeo_flow_log_prob_gradient_f32, diffeo_flow_to_noise_f32,
                    diffeo_flow_from_noise_f32, diffeo_flow_sample_f32);
  evaluation<double>(diffeo_flow_log_prob_f64, diffeo_flow_log_prob_gradient_f64, diffeo_flow_to_noise_f64,
                     diffeo_flow_from_noise_f64, diffeo_flow_sample_f64);
  hosted();
  containers();
  sizes();
  files(folder);
  building();
  training(folder);
  gradients();
  targets();
  std::puts("ok");
}
