//! Flows for Rust: load, evaluate, sample, train. Batches are slices of n rows of dim numbers, f32 or f64; n follows from
//! their lengths. What is not here is in [`sys`], the whole C API; [`Flow::as_ptr`] is the handle for it.
//!
//! ```no_run
//! let flow = diffeo::Flow::load("flow.h5")?;
//! let mut x = vec![0f32; 100 * flow.dim()];
//! let mut log_prob = vec![0f32; 100];
//! flow.sample(1, 0, None, None, &mut x, None)?;
//! flow.log_prob(&x, None, None, &mut log_prob)?;
//! # Ok::<(), diffeo::Error>(())
//! ```

pub mod sys;

use std::any::Any;
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::{null, null_mut, NonNull};

/// A status that is not DIFFEO_OK, with the sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub status: i32,
    pub message: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

fn check(status: sys::diffeo_status) -> Result<()> {
    if status == sys::DIFFEO_OK {
        return Ok(());
    }
    let message = unsafe { CStr::from_ptr(sys::diffeo_last_error()) }.to_string_lossy().into_owned();
    Err(Error { status, message })
}

fn shape(message: String) -> Error {
    Error { status: sys::DIFFEO_ESHAPE, message }
}

fn c_string(name: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error {
        status: sys::DIFFEO_EINVAL,
        message: format!("{name} has a character 0 inside"),
    })
}

/// The handle that a call makes.
fn made<T>(make: impl FnOnce(*mut *mut T) -> sys::diffeo_status) -> Result<NonNull<T>> {
    let mut handle = null_mut();
    check(make(&mut handle))?;
    Ok(NonNull::new(handle).expect("a call that succeeds makes a handle"))
}

/// f32 or f64, with the functions of the library for it.
pub trait Scalar: Copy + private::Functions {}
impl Scalar for f32 {}
impl Scalar for f64 {}

mod private {
    use super::sys::*;
    use std::os::raw::c_void;

    pub type Batch<T> =
        unsafe extern "C" fn(*const diffeo_flow, *const T, i64, *const T, i64, *mut diffeo_workspace, *mut T) -> i32;
    pub type Way<T> = unsafe extern "C" fn(
        *const diffeo_flow, *const T, i64, *const T, i64, *mut diffeo_workspace, *mut T, *mut T,
    ) -> i32;
    pub type Gradient<T> = unsafe extern "C" fn(
        *const diffeo_flow, *const T, i64, *const T, i64, *mut diffeo_workspace, *mut T, *mut T, *mut T,
    ) -> i32;
    pub type Sample<T> = unsafe extern "C" fn(
        *const diffeo_flow, u64, u64, i64, *const T, i64, *mut diffeo_workspace, *mut T, *mut T,
    ) -> i32;
    pub type Fit<T> = unsafe extern "C" fn(
        *const diffeo_flow, *const diffeo_train_options, *const T, i64, *const T, i64, *const T, diffeo_progress,
        *mut c_void, *mut *mut diffeo_flow, *mut diffeo_train_report,
    ) -> i32;

    pub trait Functions: Sized {
        const LOG_PROB: Batch<Self>;
        const GRADIENT: Gradient<Self>;
        const TO_NOISE: Way<Self>;
        const FROM_NOISE: Way<Self>;
        const SAMPLE: Sample<Self>;
        const FIT: Fit<Self>;
    }
    impl Functions for f32 {
        const LOG_PROB: Batch<f32> = diffeo_flow_log_prob_f32;
        const GRADIENT: Gradient<f32> = diffeo_flow_log_prob_gradient_f32;
        const TO_NOISE: Way<f32> = diffeo_flow_to_noise_f32;
        const FROM_NOISE: Way<f32> = diffeo_flow_from_noise_f32;
        const SAMPLE: Sample<f32> = diffeo_flow_sample_f32;
        const FIT: Fit<f32> = diffeo_fit_f32;
    }
    impl Functions for f64 {
        const LOG_PROB: Batch<f64> = diffeo_flow_log_prob_f64;
        const GRADIENT: Gradient<f64> = diffeo_flow_log_prob_gradient_f64;
        const TO_NOISE: Way<f64> = diffeo_flow_to_noise_f64;
        const FROM_NOISE: Way<f64> = diffeo_flow_from_noise_f64;
        const SAMPLE: Sample<f64> = diffeo_flow_sample_f64;
        const FIT: Fit<f64> = diffeo_fit_f64;
    }
}

/// Scratch memory and threads, for one call at a time. With one, calls allocate nothing after the first.
pub struct Workspace(NonNull<sys::diffeo_workspace>);

unsafe impl Send for Workspace {}

impl Workspace {
    /// 0 threads: as many as the process may run on.
    pub fn new(threads: i32) -> Result<Workspace> {
        made(|handle| unsafe { sys::diffeo_workspace_create(threads, handle) }).map(Workspace)
    }
    pub fn threads(&self) -> i32 {
        unsafe { sys::diffeo_workspace_threads(self.0.as_ptr()) }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        unsafe { sys::diffeo_workspace_destroy(self.0.as_ptr()) }
    }
}

/// What a flow is, by the name of the literature. `None` and 0 are the flow's own.
#[derive(Clone, Debug, Default)]
pub struct Architecture {
    pub dim: i64,
    pub context_dim: i64,
    pub transforms: i64,
    /// Widths of the networks' hidden layers.
    pub hidden: Option<Vec<i64>>,
    /// Outputs of an embedding network of the context, which all layers read in its place; 0 for none.
    pub features: i64,
    /// Widths of its hidden layers.
    pub embedding: Option<Vec<i64>>,
    pub seed: u64,
    /// DIFFEO_F32 or DIFFEO_F64; 0 for f32.
    pub dtype: i32,
}

/// Options of a training, with the defaults of the library; fields have the names of C.
pub fn train_options() -> Result<sys::diffeo_train_options> {
    let mut options = std::mem::MaybeUninit::<sys::diffeo_train_options>::zeroed();
    unsafe {
        check(sys::diffeo_train_options_init(options.as_mut_ptr(), std::mem::size_of::<sys::diffeo_train_options>()))?;
        Ok(options.assume_init())
    }
}

/// A network with these hidden layers, whose widths it points to.
fn network(hidden: &Option<Vec<i64>>) -> Result<Option<sys::diffeo_network_options>> {
    let hidden = match hidden {
        Some(hidden) => hidden,
        None => return Ok(None),
    };
    unsafe {
        let mut network: sys::diffeo_network_options = std::mem::zeroed();
        check(sys::diffeo_network_options_init(&mut network, std::mem::size_of_val(&network)))?;
        network.hidden = hidden.as_ptr();
        network.hidden_count = hidden.len() as i64;
        Ok(Some(network))
    }
}

/// A flow, immutable and shared freely between threads.
#[derive(Debug)]
pub struct Flow(NonNull<sys::diffeo_flow>);

unsafe impl Send for Flow {}
unsafe impl Sync for Flow {}

impl Drop for Flow {
    fn drop(&mut self) {
        unsafe { sys::diffeo_flow_destroy(self.0.as_ptr()) }
    }
}

impl Flow {
    pub fn load(path: &str) -> Result<Flow> {
        let path = c_string("path", path)?;
        made(|flow| unsafe { sys::diffeo_flow_load(path.as_ptr(), flow) }).map(Flow)
    }

    pub fn save(&self, path: &str) -> Result<()> {
        let path = c_string("path", path)?;
        check(unsafe { sys::diffeo_flow_save(self.as_ptr(), path.as_ptr()) })
    }

    pub fn load_memory(bytes: &[u8]) -> Result<Flow> {
        made(|flow| unsafe { sys::diffeo_flow_load_memory(bytes.as_ptr().cast(), bytes.len(), flow) }).map(Flow)
    }

    pub fn maf(architecture: &Architecture) -> Result<Flow> {
        Flow::create(sys::diffeo_maf_create, architecture)
    }
    pub fn realnvp(architecture: &Architecture) -> Result<Flow> {
        Flow::create(sys::diffeo_realnvp_create, architecture)
    }
    pub fn spline_coupling(architecture: &Architecture) -> Result<Flow> {
        Flow::create(sys::diffeo_spline_coupling_create, architecture)
    }
    pub fn spline_autoregressive(architecture: &Architecture) -> Result<Flow> {
        Flow::create(sys::diffeo_spline_autoregressive_create, architecture)
    }

    fn create(
        create: unsafe extern "C" fn(*const sys::diffeo_architecture_options, *mut *mut sys::diffeo_flow) -> i32,
        architecture: &Architecture,
    ) -> Result<Flow> {
        unsafe {
            let mut options: sys::diffeo_architecture_options = std::mem::zeroed();
            check(sys::diffeo_architecture_options_init(&mut options, std::mem::size_of_val(&options)))?;
            let (network, embedding) = (network(&architecture.hidden)?, network(&architecture.embedding)?);
            options.dim = architecture.dim;
            options.context_dim = architecture.context_dim;
            options.transforms = architecture.transforms;
            options.seed = architecture.seed;
            if architecture.dtype != 0 {
                options.dtype = architecture.dtype;
            }
            options.features = architecture.features;
            if let Some(network) = &network {
                options.network = network;
            }
            if let Some(embedding) = &embedding {
                options.embedding = embedding;
            }
            made(|flow| create(&options, flow)).map(Flow)
        }
    }

    /// The handle of C, which the flow keeps.
    pub fn as_ptr(&self) -> *mut sys::diffeo_flow {
        self.0.as_ptr()
    }

    pub fn dim(&self) -> usize {
        unsafe { sys::diffeo_flow_dim(self.as_ptr()) as usize }
    }
    pub fn context_dim(&self) -> usize {
        unsafe { sys::diffeo_flow_context_dim(self.as_ptr()) as usize }
    }
    pub fn parameter_count(&self) -> usize {
        unsafe { sys::diffeo_flow_parameter_count(self.as_ptr()) as usize }
    }

    pub fn describe(&self) -> Result<String> {
        text(|to, capacity, length| unsafe { sys::diffeo_flow_describe(self.as_ptr(), to, capacity, length) })
    }
    pub fn metadata(&self, key: &str) -> Result<String> {
        let key = c_string("key", key)?;
        text(|to, capacity, length| unsafe {
            sys::diffeo_flow_metadata(self.as_ptr(), key.as_ptr(), to, capacity, length)
        })
    }
    pub fn set_metadata(&mut self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (c_string("key", key)?, c_string("value", value)?);
        check(unsafe { sys::diffeo_flow_set_metadata(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// log p(x | context) of n rows, in nats. context: one row for all, or n.
    pub fn log_prob<T: Scalar>(
        &self, x: &[T], context: Option<&[T]>, workspace: Option<&mut Workspace>, log_prob: &mut [T],
    ) -> Result<()> {
        let n = self.rows("x", x)?;
        let (context, n_context) = self.context(context)?;
        expect("log_prob", log_prob.len(), n)?;
        check(unsafe {
            T::LOG_PROB(self.as_ptr(), x.as_ptr(), n as i64, context, n_context, raw(workspace), log_prob.as_mut_ptr())
        })
    }

    /// Its gradient in x, the score.
    pub fn score<T: Scalar>(
        &self, x: &[T], context: Option<&[T]>, workspace: Option<&mut Workspace>, score: &mut [T],
    ) -> Result<()> {
        let n = self.rows("x", x)?;
        let (context, n_context) = self.context(context)?;
        expect("score", score.len(), x.len())?;
        check(unsafe {
            T::GRADIENT(
                self.as_ptr(), x.as_ptr(), n as i64, context, n_context, raw(workspace), null_mut(), score.as_mut_ptr(),
                null_mut(),
            )
        })
    }

    /// Data to noise, and log|det dz/dx| of each row if it is wanted.
    pub fn to_noise<T: Scalar>(
        &self, x: &[T], context: Option<&[T]>, workspace: Option<&mut Workspace>, z: &mut [T], log_det: Option<&mut [T]>,
    ) -> Result<()> {
        self.way(T::TO_NOISE, "x", x, context, workspace, ("z", z), log_det)
    }

    /// Noise to data, and log|det dx/dz| of each row if it is wanted.
    pub fn from_noise<T: Scalar>(
        &self, z: &[T], context: Option<&[T]>, workspace: Option<&mut Workspace>, x: &mut [T], log_det: Option<&mut [T]>,
    ) -> Result<()> {
        self.way(T::FROM_NOISE, "z", z, context, workspace, ("x", x), log_det)
    }

    #[allow(clippy::too_many_arguments)]
    fn way<T: Scalar>(
        &self, run: private::Way<T>, name: &str, from: &[T], context: Option<&[T]>, workspace: Option<&mut Workspace>,
        (to_name, to): (&str, &mut [T]), log_det: Option<&mut [T]>,
    ) -> Result<()> {
        let n = self.rows(name, from)?;
        let (context, n_context) = self.context(context)?;
        expect(to_name, to.len(), from.len())?;
        let log_det = optional("log_det", log_det, n)?;
        check(unsafe {
            run(self.as_ptr(), from.as_ptr(), n as i64, context, n_context, raw(workspace), to.as_mut_ptr(), log_det)
        })
    }

    /// Samples number first_row and on of the seed, as many as x has rows, and their log-densities if they are wanted.
    pub fn sample<T: Scalar>(
        &self, seed: u64, first_row: u64, context: Option<&[T]>, workspace: Option<&mut Workspace>, x: &mut [T],
        log_prob: Option<&mut [T]>,
    ) -> Result<()> {
        let n = self.rows("x", x)?;
        let (context, n_context) = self.context(context)?;
        let log_prob = optional("log_prob", log_prob, n)?;
        check(unsafe {
            T::SAMPLE(
                self.as_ptr(), seed, first_row, n as i64, context, n_context, raw(workspace), x.as_mut_ptr(), log_prob,
            )
        })
    }

    /// Trains to the end, or until on_progress is false, and gives the best flow. weights: one a row.
    pub fn fit<T: Scalar>(
        &self, options: &sys::diffeo_train_options, x: &[T], context: Option<&[T]>, weights: Option<&[T]>,
        mut on_progress: impl FnMut(&sys::diffeo_train_report) -> bool,
    ) -> Result<Flow> {
        let n = self.rows("x", x)?;
        let (context, n_context) = self.context(context)?;
        if let Some(weights) = weights {
            expect("weights", weights.len(), n)?;
        }
        let mut watched = Watched { on_progress: &mut on_progress, stopped: false, panicked: None };
        let mut trained = null_mut();
        let status = unsafe {
            T::FIT(
                self.as_ptr(), options, x.as_ptr(), n as i64, context, n_context,
                weights.map_or(null(), |weights| weights.as_ptr()), Some(watch), (&mut watched as *mut Watched).cast(),
                &mut trained, null_mut(),
            )
        };
        let failure = check(status);
        let trained = NonNull::new(trained).map(Flow);
        if let Some(panicked) = watched.panicked {
            resume_unwind(panicked);
        }
        match trained {
            Some(flow) if failure.is_ok() || watched.stopped => Ok(flow),
            _ => Err(failure.expect_err("without a flow there is an error")),
        }
    }

    fn rows<T>(&self, name: &str, values: &[T]) -> Result<usize> {
        let dim = self.dim();
        if values.len() % dim != 0 {
            let size = values.len();
            return Err(shape(format!("{name} has {size} values, which are no whole rows: this flow has dim {dim}")));
        }
        Ok(values.len() / dim)
    }

    fn context<T>(&self, context: Option<&[T]>) -> Result<(*const T, i64)> {
        let dim = self.context_dim();
        match context {
            None => Ok((null(), 0)),
            Some(values) if dim > 0 && values.len() % dim == 0 => Ok((values.as_ptr(), (values.len() / dim) as i64)),
            Some(values) => Err(shape(format!("context has {} values, this flow has context_dim {dim}", values.len()))),
        }
    }
}

fn raw(workspace: Option<&mut Workspace>) -> *mut sys::diffeo_workspace {
    workspace.map_or(null_mut(), |workspace| workspace.0.as_ptr())
}

fn expect(name: &str, found: usize, needed: usize) -> Result<()> {
    if found != needed {
        return Err(shape(format!("{name} has {found} values, {needed} are needed")));
    }
    Ok(())
}

fn optional<T>(name: &str, values: Option<&mut [T]>, needed: usize) -> Result<*mut T> {
    match values {
        None => Ok(null_mut()),
        Some(values) => expect(name, values.len(), needed).map(|()| values.as_mut_ptr()),
    }
}

/// What a function writes that works as snprintf.
fn text(write: impl Fn(*mut c_char, usize, *mut usize) -> sys::diffeo_status) -> Result<String> {
    let mut length = 0;
    check(write(null_mut(), 0, &mut length))?;
    let mut bytes = vec![0u8; length + 1];
    check(write(bytes.as_mut_ptr().cast(), bytes.len(), &mut length))?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct Watched<'a> {
    on_progress: &'a mut dyn FnMut(&sys::diffeo_train_report) -> bool,
    stopped: bool,
    panicked: Option<Box<dyn Any + Send>>,
}

/// A panic does not go through the library: it is taken up again when fit has returned.
unsafe extern "C" fn watch(report: *const sys::diffeo_train_report, user: *mut c_void) -> c_int {
    let watched = &mut *user.cast::<Watched>();
    match catch_unwind(AssertUnwindSafe(|| (watched.on_progress)(&*report))) {
        Ok(goes_on) => watched.stopped = !goes_on,
        Err(panicked) => {
            watched.stopped = true;
            watched.panicked = Some(panicked);
        }
    }
    c_int::from(watched.stopped)
}
