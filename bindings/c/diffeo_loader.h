/* diffeo_loader.h - the functions of diffeo.h for programs that do not link the library but open it at run time.
 *
 *     diffeo_api api;
 *     char error[256];
 *     if (diffeo_api_load(NULL, &api, error, sizeof error) != 0) die(error);
 *     diffeo_flow *flow;
 *     if (api.flow_load("flow.h5", &flow) != DIFFEO_OK) die(api.last_error());
 *
 * A member is called as its function without the diffeo_. C99 or C++11, with -ldl where the C library needs it
 * (glibc before 2.34). Nothing to compile: include it where you load. */
#ifndef DIFFEO_LOADER_H
#define DIFFEO_LOADER_H

#include <diffeo.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every function of diffeo.h, in its order, without the prefix: written by scripts/generate-interface. */
#define DIFFEO_FUNCTIONS(X) \
  X(version_number) X(version_string) X(status_name) X(last_error) X(workspace_create) X(workspace_create_hosted) \
  X(workspace_pin) X(workspace_destroy) X(workspace_threads) X(convolution_options_init) \
  X(image_coupling_options_init) X(split_options_init) X(image_options_init) X(network_options_init) \
  X(spline_options_init) X(mixture_options_init) X(map_options_init) X(autoregressive_options_init) \
  X(coupling_options_init) X(elementwise_options_init) X(base_options_init) X(made_options_init) \
  X(architecture_options_init) X(option_bounds) X(nice_create) X(realnvp_create) X(glow_create) X(made_create) \
  X(maf_create) X(iaf_create) X(planar_create) X(radial_create) X(cdf_flow_create) X(spline_coupling_create) \
  X(spline_autoregressive_create) X(glow_image_create) X(realnvp_image_create) X(spec_create) X(spec_create_image) \
  X(spec_destroy) X(spec_set_dtype) X(spec_invert) X(spec_add_autoregressive) X(spec_add_coupling) \
  X(spec_add_permutation) X(spec_add_reverse) X(spec_add_random_permutation) X(spec_add_lu) X(spec_add_linear) \
  X(spec_add_householder) X(spec_add_actnorm) X(spec_add_elementwise_affine) X(spec_add_batch_norm) X(spec_add_planar) \
  X(spec_add_radial) X(spec_add_elementwise) X(spec_add_squeeze) X(spec_add_unsqueeze) X(spec_add_image_coupling) \
  X(spec_add_split) X(spec_map) X(spec_set_standardization) X(spec_add_standardize) X(spec_standardize_context) \
  X(spec_set_embedding) X(spec_add_domain) X(spec_add_wrap) X(spec_add_wrap_columns) X(spec_add_dequantize) \
  X(spec_add_dequantize_columns) X(spec_set_base) X(spec_set_base_made) X(flow_create) X(flow_destroy) X(flow_compose) \
  X(flow_load) X(flow_save) X(flow_load_memory) X(flow_save_memory) X(flow_dim) X(flow_context_dim) X(flow_shape) \
  X(flow_dtype) X(flow_layer_count) X(flow_levels) X(flow_parameter_count) X(flow_describe) X(flow_set_metadata) \
  X(flow_metadata) X(flow_metadata_count) X(flow_metadata_key) X(flow_parameters_f32) X(flow_parameters_f64) \
  X(flow_with_parameters_f32) X(flow_with_parameters_f64) X(flow_trained_parameters) X(flow_log_prob_f32) \
  X(flow_log_prob_f64) X(flow_log_prob_gradient_f32) X(flow_log_prob_gradient_f64) X(flow_to_noise_f32) \
  X(flow_to_noise_f64) X(flow_from_noise_f32) X(flow_from_noise_f64) X(flow_sample_f32) X(flow_sample_f64) \
  X(flow_sample_tempered_f32) X(flow_sample_tempered_f64) X(flow_bits_per_dim_f32) X(flow_bits_per_dim_f64) \
  X(flow_log_prob_vjp_f32) X(flow_log_prob_vjp_f64) X(flow_to_noise_vjp_f32) X(flow_to_noise_vjp_f64) \
  X(flow_from_noise_vjp_f32) X(flow_from_noise_vjp_f64) X(flow_sample_vjp_f32) X(flow_sample_vjp_f64) \
  X(rows_create_f32) X(rows_create_f64) X(rows_open) X(rows_destroy) X(rows_count) X(rows_dim) X(rows_context_dim) \
  X(flow_log_prob_file) X(flow_sample_file) X(train_options_init) X(trainer_create_f32) X(trainer_create_f64) \
  X(trainer_destroy) X(trainer_set_validation_f32) X(trainer_set_validation_f64) X(trainer_create_rows) \
  X(trainer_set_validation_rows) X(trainer_step) X(trainer_report) X(trainer_set_learning_rate) \
  X(trainer_set_workspace) X(trainer_finished) X(trainer_best) X(trainer_current) X(trainer_save) X(trainer_load) \
  X(trainer_cancel) X(fit_f32) X(fit_f64) X(vi_options_init) X(vi_create_f32) X(vi_create_f64) X(vi_destroy) \
  X(vi_step) X(vi_step_given_f32) X(vi_step_given_f64) X(vi_report) X(vi_set_learning_rate) X(vi_set_workspace) \
  X(vi_finished) X(vi_best) X(vi_current) X(vi_save) X(vi_load) X(vi_cancel) X(optimizer_create) X(optimizer_destroy) \
  X(optimizer_step_f32) X(optimizer_step_f64) X(optimizer_report) X(optimizer_set_learning_rate) \
  X(optimizer_set_workspace) X(optimizer_current) X(optimizer_average) X(optimizer_save) X(optimizer_load)

#define DIFFEO_MEMBER_(name) __typeof__(diffeo_##name) *name;
typedef struct diffeo_api {
  DIFFEO_FUNCTIONS(DIFFEO_MEMBER_)
} diffeo_api;
#undef DIFFEO_MEMBER_

/* Opens the library and fills api: 0, or -1 with a sentence in error, cut to size bytes, and api as it was. path NULL
 * means the one that the environment variable DIFFEO_LIBRARY names, else libdiffeo.so.0.2 where the system looks for
 * libraries. Once opened it stays for the life of the process. */
static inline int diffeo_api_load(const char *path, diffeo_api *api, char *error, size_t size) {
#define DIFFEO_NAME_(name) "diffeo_" #name,
  static const char *const names[] = {DIFFEO_FUNCTIONS(DIFFEO_NAME_)};
#undef DIFFEO_NAME_
  /* A table of what dlsym gives, which has the layout of diffeo_api: ISO C has no cast between the two. */
  void *found[sizeof names / sizeof *names];
  int32_t (*version_number)(void);
  void *library;
  size_t i;

  if (path == NULL) path = getenv("DIFFEO_LIBRARY");
  if (path == NULL || *path == '\0') path = "libdiffeo.so.0.2";
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(error, size, "%s", dlerror());
    return -1;
  }
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    found[i] = dlsym(library, names[i]);
    if (found[i] == NULL) {
      snprintf(error, size, "%s has no %s", path, names[i]);
      dlclose(library);
      return -1;
    }
    if (i > 0) continue;
    /* First of all: is it the version that this program was compiled for? Before 1.0 any minor one may differ. */
    memcpy(&version_number, &found[0], sizeof version_number);
    if (version_number() / 100 != DIFFEO_VERSION_NUMBER / 100) {
      snprintf(error, size, "%s has version number %d, this program was made for %d", path, (int)version_number(),
               DIFFEO_VERSION_NUMBER);
      dlclose(library);
      return -1;
    }
  }
  memcpy(api, found, sizeof found);
  return 0;
}

#endif
