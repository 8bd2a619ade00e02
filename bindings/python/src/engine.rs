//! A loaded model.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use rife_cli::{EngineOptions, Host};
use rife_runtime::{Interpolator, Precision, Scale, Session};

use crate::error::{self, RifeError};
use crate::exit::detached;
use crate::frames::{Frames, Layout};
use crate::logging;
use crate::machine::{FetchEvent, FetchObserver, parse_device, parse_engine, parse_version};
use crate::wait;

/// A model that is loaded until it is closed.
#[pyclass(frozen, module = "rife._rife")]
pub(crate) struct Engine {
    /// Locked only by threads that hold the GIL, so that it is not locked after a fork.
    loaded: Mutex<Option<Arc<Interpolator>>>,
    /// Reused by calls with several timesteps.
    session: Mutex<Option<Session>>,
    /// The process that loaded the model.
    process: u32,
}

/// The fields of `rife.Info`: model, weights file, note on the weights, engine, device, precision,
/// name of the device, arithmetic, scale, ensemble, batch, threads.
type Info = (
    &'static str,
    PathBuf,
    Option<String>,
    String,
    String,
    String,
    String,
    String,
    f64,
    bool,
    usize,
    Option<usize>,
);

#[pymethods]
impl Engine {
    #[new]
    #[allow(clippy::too_many_arguments)] // The options of a model.
    fn new(
        py: Python<'_>,
        model: Option<&str>,
        device: &str,
        precision: &str,
        scale: f64,
        ensemble: bool,
        threads: Option<&Bound<'_, PyAny>>,
        weights: Option<PathBuf>,
        engine: &str,
        batch: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        logging::install();
        let options = EngineOptions {
            model: model.map(parse_version).transpose()?,
            device: parse_device(device)?,
            precision: precision
                .parse::<Precision>()
                .map_err(|error| error::value_error(error.to_string()))?,
            scale: parse_scale(scale)?,
            ensemble,
            threads: threads.map(|threads| parse_count("threads", threads)).transpose()?,
            weights,
            engine: parse_engine(engine)?,
            batch: parse_count("batch", batch)?,
        };
        let (events, waiter) = wait::events();
        let host = Host::embedded(FetchObserver(events));
        let work = move || rife_cli::load(&options, &host);
        let on_event = |event, _| match event {
            // Notes on the weights are logged as warnings below.
            FetchEvent::Message(line) if line.starts_with("note: ") => Ok(()),
            FetchEvent::Message(line) => logging::log_line(py, &line),
            FetchEvent::Download(..) => Ok(()),
        };
        let loaded = waiter.run(py, work, on_event, || ())?;
        let loaded = loaded.map_err(|error| error::from_any(&error))?;
        if let Some(note) = &loaded.info().weights.note {
            logging::log(py, "warning", note)?;
        }
        Ok(Self {
            loaded: Mutex::new(Some(Arc::new(loaded))),
            session: Mutex::new(None),
            process: std::process::id(),
        })
    }

    fn info(&self) -> PyResult<Info> {
        let loaded = self.loaded()?;
        let info = loaded.info();
        Ok((
            info.model.as_str(),
            info.weights.path.clone(),
            info.weights.note.clone(),
            info.engine.to_string(),
            info.device.clone(),
            info.precision.to_string(),
            info.description.device.clone(),
            info.description.arithmetic.clone(),
            info.scale.factor(),
            info.ensemble,
            info.batch,
            info.description.threads,
        ))
    }

    /// Interpolates between `a` and `b` at each timestep, into one output per timestep.
    fn interpolate(
        &self,
        py: Python<'_>,
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        timesteps: Vec<f32>,
        layout: &str,
        outputs: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let loaded = self.loaded()?;
        let call = Call::new(a, b, layout, &outputs)?;
        let [a, b] = [&call.a, &call.b];
        call.check_device(&loaded)?;
        if let ([output], [t]) = (call.outputs.as_slice(), timesteps.as_slice()) {
            // Handle signals between groups of frames.
            let group = loaded.info().batch.max(1);
            for start in (0..a.count).step_by(group) {
                py.check_signals()?;
                let items = start..(start + group).min(a.count);
                detached(py, || {
                    let pairs = items.clone().map(|i| Ok((a.view(i)?, b.view(i)?, *t)));
                    let pairs = pairs.collect::<rife_runtime::Result<Vec<_>>>()?;
                    let mut outs =
                        items.map(|i| output.view_mut(i)).collect::<Result<Vec<_>, _>>()?;
                    loaded.interpolate_many_into(&pairs, &mut outs)
                })
                .map_err(|error| error::from_runtime(&error))?;
            }
            return Ok(());
        }
        for item in 0..a.count {
            self.interpolate_pair(py, &loaded, &call, &timesteps, item)?;
        }
        Ok(())
    }

    /// Waits for the work on the default stream of the GPU.
    fn synchronize(&self, py: Python<'_>) -> PyResult<()> {
        let loaded = self.loaded()?;
        detached(py, || loaded.synchronize()).map_err(|error| error::from_runtime(&error))
    }

    /// Repeats the equivalent of [`Self::interpolate`] for one pair with the Rust API, and returns
    /// the time of each run in ms. Without `output`, each run allocates its result. For
    /// `bench/overhead.py`.
    #[allow(clippy::too_many_arguments)] // The arguments of a call, and the number of runs.
    fn time_in_rust(
        &self,
        py: Python<'_>,
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        timestep: f32,
        layout: &str,
        output: Option<Bound<'_, PyAny>>,
        runs: usize,
    ) -> PyResult<Vec<f64>> {
        let loaded = self.loaded()?;
        let call = Call::new(a, b, layout, output.as_slice())?;
        call.check_device(&loaded)?;
        detached(py, || {
            let (a, b) = (call.a.view(0)?, call.b.view(0)?);
            let mut times = Vec::with_capacity(runs);
            for _ in 0..runs {
                let start = Instant::now();
                match call.outputs.first() {
                    Some(output) => {
                        loaded.interpolate_into(&a, &b, timestep, &mut output.view_mut(0)?)?;
                    }
                    None => drop(loaded.interpolate(&a, &b, timestep)?),
                }
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok(times)
        })
        .map_err(|error: rife_runtime::Error| error::from_runtime(&error))
    }

    fn close(&self, py: Python<'_>) {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.is_of_other_process() {
            std::mem::forget(loaded);
            return;
        }
        detached(py, || {
            let session = self.session().take();
            drop((session, loaded));
        });
    }

    #[getter]
    fn closed(&self) -> bool {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Engine {
    /// The model, unless it was closed.
    pub(crate) fn loaded(&self) -> PyResult<Arc<Interpolator>> {
        if self.is_of_other_process() {
            return Err(RifeError::new_err(
                "the interpolator was created before fork: create it in this process",
            ));
        }
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        loaded.ok_or_else(|| RifeError::new_err("the interpolator is closed"))
    }

    /// Whether the process was forked since the model was loaded. The threads and the device of
    /// the model exist only in the parent, so it must neither be used nor dropped here.
    pub(crate) fn is_of_other_process(&self) -> bool {
        self.process != std::process::id()
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Interpolates at several timesteps between one pair, whose frames are uploaded once. Handles
    /// signals between groups of frames.
    fn interpolate_pair(
        &self,
        py: Python<'_>,
        loaded: &Interpolator,
        call: &Call,
        timesteps: &[f32],
        item: usize,
    ) -> PyResult<()> {
        let start = || -> rife_runtime::Result<_> {
            let (a, b) = (call.a.view(item)?, call.b.view(item)?);
            // Other threads start sessions of their own.
            let cached = self.session().take();
            let mut session = match cached.filter(|session| session.size() == a.size()) {
                Some(session) => session,
                None => loaded.session(a.size())?,
            };
            session.push(&a)?;
            session.push(&b)?;
            Ok(session)
        };
        py.check_signals()?;
        let mut session = detached(py, start).map_err(|error| error::from_runtime(&error))?;
        let group = loaded.info().batch.max(1);
        for (timesteps, outputs) in timesteps.chunks(group).zip(call.outputs.chunks(group)) {
            py.check_signals()?;
            detached(py, || {
                let outs = outputs.iter().map(|output| output.view_mut(item));
                let mut outs = outs.collect::<rife_runtime::Result<Vec<_>>>()?;
                session.at_many_into(timesteps, &mut outs)
            })
            .map_err(|error| error::from_runtime(&error))?;
        }
        // Not reached after an error.
        let session = detached(py, || {
            session.reset();
            session
        });
        // Do not keep the session if another thread closed the interpolator.
        let unused = match self.closed() {
            true => Some(session),
            false => self.session().replace(session),
        };
        detached(py, || drop(unused));
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.is_of_other_process() {
            let loaded = self.loaded.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(loaded.take());
            let session = self.session.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(session.take());
        }
    }
}

/// The checked arrays of a call.
struct Call {
    a: Frames,
    b: Frames,
    outputs: Vec<Frames>,
}

impl Call {
    fn new(
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        layout: &str,
        outputs: &[Bound<'_, PyAny>],
    ) -> PyResult<Self> {
        let layout = Layout::parse(layout)?;
        let (a, b) = (Frames::read("a", a, layout)?, Frames::read("b", b, layout)?);
        b.check_like("b", &a, "a")?;
        let outputs: Vec<Frames> = outputs
            .iter()
            .map(|output| Frames::read_output(output, layout))
            .collect::<PyResult<_>>()?;
        for (index, output) in outputs.iter().enumerate() {
            output.check_like("out", &a, "a")?;
            let others = outputs.iter().skip(index + 1).chain([&a, &b]);
            if { others }.any(|other| output.overlaps(other)) {
                return Err(error::value_error(
                    "out: expected memory that does not overlap other frames",
                ));
            }
        }
        Ok(Self { a, b, outputs })
    }

    fn check_device(&self, loaded: &Interpolator) -> PyResult<()> {
        self.a.check_device("a", &loaded.info().device)
    }
}

fn parse_scale(factor: f64) -> PyResult<Scale> {
    Scale::ALL.into_iter().find(|scale| scale.factor() == factor).ok_or_else(|| {
        error::value_error(format!("scale: expected 0.25, 0.5, 1, 2 or 4, got {factor}"))
    })
}

/// Parses a number of threads or frames, which the engine checks further.
fn parse_count(name: &str, number: &Bound<'_, PyAny>) -> PyResult<usize> {
    number.extract().map_err(|error: PyErr| {
        match error.is_instance_of::<PyOverflowError>(number.py()) {
            true => error::value_error(format!("{name}: expected a positive 64-bit integer")),
            false => error,
        }
    })
}
