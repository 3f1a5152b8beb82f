//! Runs a script: an engine and a thread of its own, with limits on time, memory and stack.
//!
//! The script gets the language and the functions of [`super::functions`]: no modules, no files, no sockets, no timers.

use std::rc::Rc;
use std::sync::{Arc, OnceLock, mpsc};

use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt as _, CaughtError, Context, Ctx, Function, Object, Persistent, Runtime, Value};
use rustix::process::Pid;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::Failure;
use super::functions::{self, Watch};
use super::names::{Host, Names};
use super::{Limits, plain};

/// Stack of the thread, above what scripts may use of it: the engine's own functions need some.
const THREAD_STACK: usize = 16 << 20;

/// Name of the script in the engine's messages, by which lines are found in them.
const SCRIPT: &str = "script.pac";

const PRELUDE: &str = include_str!("prelude.js");

/// What an evaluation gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The script's answer.
    pub(super) text: String,
    /// What it said by `alert`.
    pub(super) alerts: Vec<String>,
    /// Names that had no answer in time; for the script they do not exist.
    pub(super) late: Vec<String>,
}

struct Job {
    url: String,
    host: String,
    place: OwnedSemaphorePermit,
    reply: oneshot::Sender<Reply>,
}

/// What came of an evaluation, and the place it took. Whoever asked may be gone: the place is taken for as long as the
/// thread works, or there would be ever more of them.
type Reply = (Result<Outcome, Failure>, OwnedSemaphorePermit);

/// A thread with a script in it. It ends when this is dropped and what it is at is done.
#[derive(Debug)]
pub(super) struct Engine {
    jobs: mpsc::Sender<Job>,
    thread: Arc<OnceLock<Pid>>,
}

impl Engine {
    pub(super) fn start(script: Arc<str>, limits: Limits, names: Names, host: Arc<dyn Host>) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let thread = Arc::new(OnceLock::new());
        let told = thread.clone();
        std::thread::Builder::new().name("pac".to_owned()).stack_size(THREAD_STACK).spawn(move || {
            let _ = told.set(rustix::thread::gettid());
            let watch = Rc::new(Watch::new(limits, names, host));
            let mut worker = Worker { script, limits, watch, loaded: None };
            while let Ok(job) = waiting.recv() {
                // Who no longer waits needs no answer.
                if !job.reply.is_closed() {
                    let _ = job.reply.send((worker.evaluate(&job.url, &job.host), job.place));
                }
            }
        })?;
        Ok(Self { jobs, thread })
    }

    /// Puts the thread behind all others, for good.
    pub(super) fn step_back(&self) {
        if let Some(thread) = self.thread.get() {
            // To Linux a thread is a process here.
            let _ = rustix::process::setpriority_process(Some(*thread), 19);
        }
    }

    /// Evaluates in the place given; the answer comes within the limits. `Err` of the receiver: the thread has died.
    pub(super) fn evaluate(&self, url: String, host: String, place: OwnedSemaphorePermit) -> oneshot::Receiver<Reply> {
        let (reply, answer) = oneshot::channel();
        // Where the thread is gone, the reply is dropped, which the receiver sees.
        let _ = self.jobs.send(Job { url, host, place, reply });
        answer
    }
}

/// Evaluates once, here and now, in a world of its own.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn once(
    script: Arc<str>,
    limits: Limits,
    watch: Rc<Watch>,
    url: &str,
    host: &str,
) -> Result<Outcome, Failure> {
    Worker { script, limits, watch, loaded: None }.evaluate(url, host)
}

struct Worker {
    script: Arc<str>,
    limits: Limits,
    watch: Rc<Watch>,
    /// The script's world, kept from one evaluation to the next, as in browsers.
    loaded: Option<World>,
}

/// A script, loaded. The function comes first, so that it is dropped before the engine it is of.
struct World {
    /// The prelude's function that calls the script's, kept where the script cannot reach it.
    call: Persistent<Function<'static>>,
    context: Context,
    /// Evaluations it has seen.
    evaluations: usize,
}

impl Worker {
    fn evaluate(&mut self, url: &str, host: &str) -> Result<Outcome, Failure> {
        self.watch.begin();
        let mut result = self.once(url, host);
        // A script that keeps something of each evaluation runs out of memory some day: it may begin anew.
        if let (Err((Failure::Memory { .. }, 1..)), false) = (&result, self.watch.stopped()) {
            self.watch.begin();
            result = self.once(url, host);
        }
        let text = result.map_err(|(failure, _)| failure)?;
        Ok(Outcome { text, alerts: self.watch.alerts(), late: self.watch.late() })
    }

    /// Evaluates in the world that there is, or in a new one. A failure comes with how many evaluations there were
    /// before, and ends the world.
    fn once(&mut self, url: &str, host: &str) -> Result<String, (Failure, usize)> {
        let mut world = match self.loaded.take() {
            Some(world) => world,
            None => self.load().map_err(|failure| (failure, 0))?,
        };
        let answer = world.context.with(|ctx| {
            let answer = call(&ctx, &world.call, url, host, self.limits.answer);
            answer.catch(&ctx).map_err(|error| self.failure(&error, false)).and_then(|answer| answer)
        });
        let answer = self.in_time(answer).map_err(|failure| (failure, world.evaluations))?;
        world.evaluations += 1;
        self.loaded = Some(world);
        Ok(answer)
    }

    fn load(&self) -> Result<World, Failure> {
        let broken = |error: rquickjs::Error| Failure::Engine(error.to_string());
        let runtime = Runtime::new().map_err(broken)?;
        runtime.set_memory_limit(self.limits.memory);
        runtime.set_max_stack_size(self.limits.stack);
        let watch = self.watch.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || watch.is_over())));
        let context = Context::full(&runtime).map_err(broken)?;
        let loaded = context.with(|ctx| {
            let prepared = prepare(&ctx, &self.watch).catch(&ctx).map_err(|error| self.failure(&error, false));
            let call = prepared?;
            let mut options = EvalOptions::default();
            options.strict = false;
            options.filename = Some(SCRIPT.to_owned());
            let run: rquickjs::Result<Value<'_>> = ctx.eval_with_options(&*self.script, options);
            run.catch(&ctx).map(|_| call).map_err(|error| self.failure(&error, true))
        });
        let call = self.in_time(loaded)?;
        Ok(World { call, context, evaluations: 0 })
    }

    /// A script that was stopped may still have caught that, and answered something: it does not count.
    fn in_time<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        if self.watch.stopped() {
            return Err(Failure::Time {
                limit: self.limits.time,
                waited: self.watch.waited(),
                late: self.watch.late(),
            });
        }
        result
    }

    fn failure(&self, error: &CaughtError<'_>, loading: bool) -> Failure {
        let (message, stack) = match error {
            CaughtError::Error(rquickjs::Error::Allocation) => ("out of memory".to_owned(), String::new()),
            CaughtError::Error(rquickjs::Error::InvalidString(_)) => {
                ("there is a zero byte in it".to_owned(), String::new())
            }
            CaughtError::Error(error) => (error.to_string(), String::new()),
            CaughtError::Exception(exception) => {
                let name: String = exception.as_object().get("name").unwrap_or_default();
                let message = exception.message().unwrap_or_default();
                (format!("{name}: {message}"), exception.stack().unwrap_or_default())
            }
            // What the engine throws where it has no memory left for an exception.
            CaughtError::Value(value) if value.is_null() => ("out of memory".to_owned(), String::new()),
            CaughtError::Value(value) => (format!("it threw {}", shown(value)), String::new()),
        };
        if message.ends_with("out of memory") {
            return Failure::Memory { limit: self.limits.memory };
        }
        if message.contains("call stack size exceeded") || message.ends_with("stack overflow") {
            return Failure::Stack { line: line(&stack) };
        }
        let message = plain(&message, 200);
        if loading {
            Failure::Loading { message, line: line(&stack) }
        } else {
            Failure::Threw { message, line: line(&stack) }
        }
    }
}

/// Something that was thrown and is no error, in short.
fn shown(value: &Value<'_>) -> String {
    let text = value.as_string().and_then(|text| text.to_string().ok());
    text.map_or_else(|| format!("a value of type {}", value.type_name()), |text| format!("`{}`", plain(&text, 100)))
}

/// The first line of the script that a stack trace names.
fn line(stack: &str) -> Option<u32> {
    let rest = &stack[stack.find(&format!("{SCRIPT}:"))? + SCRIPT.len() + 1..];
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// Gives the script its functions, and returns the one that calls the script's.
fn prepare<'js>(ctx: &Ctx<'js>, watch: &Rc<Watch>) -> rquickjs::Result<Persistent<Function<'static>>> {
    let native = functions::native(ctx, watch)?;
    let prelude: Function<'js> = ctx.eval(PRELUDE)?;
    let call: Function<'js> = prelude.call((native,))?;
    Ok(Persistent::save(ctx, call))
}

/// The inner result is for what the script's answer is wrong in itself.
fn call<'js>(
    ctx: &Ctx<'js>,
    call: &Persistent<Function<'static>>,
    url: &str,
    host: &str,
    longest: usize,
) -> rquickjs::Result<Result<String, Failure>> {
    // Names of the script's top level may be `const`, which are no properties of the global object.
    let find: Value<'js> = ctx.eval(
        "typeof FindProxyForURLEx === 'function' ? FindProxyForURLEx \
         : typeof FindProxyForURL === 'function' ? FindProxyForURL : undefined",
    )?;
    let Some(find) = find.into_function() else { return Ok(Err(Failure::NoFunction)) };
    let answer: Value<'js> = call.clone().restore(ctx)?.call((find, url, host, longest))?;
    if let Some(length) = answer.as_number() {
        return Ok(Err(Failure::TooLong { length, longest }));
    }
    if let Some(other) = answer.as_object() {
        return Ok(Err(Failure::NotText { kind: kind(other) }));
    }
    answer.get::<String>().map(Ok)
}

fn kind(answer: &Object<'_>) -> String {
    answer.get("kind").unwrap_or_default()
}
