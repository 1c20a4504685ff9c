//! One round of a work by hand-written Rust: the program that `benches/harness.py` starts with the task as JSON.
//!
//! It is what `benches/worker.py` is for libraries of Python's: it goes to its core, connects, warms up, says `ready` on its standard
//! output, begins to measure when it reads a line, and ends with its figures as JSON.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use hand_written::{Client, Entry, Error};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The most that SQS takes in one request.
const TEN: usize = 10;

#[derive(Deserialize)]
struct Task {
    core: Option<usize>,
    function: String,
    job: Job,
}

/// One round of a work; `body` is the size of each message's. See `benches/job.py`.
#[derive(Deserialize)]
struct Job {
    endpoint_url: String,
    queue_url: String,
    messages: usize,
    warm: usize,
    body: usize,
}

#[derive(Serialize)]
struct Answer {
    library: String,
    figures: Figures,
}

/// Microseconds, and megabytes.
#[derive(Serialize)]
struct Figures {
    cpu: f64,
    wall: f64,
    memory: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<f64>,
}

fn main() -> Result<(), Error> {
    let task: Task = serde_json::from_str(&std::env::args().nth(1).ok_or("a task as JSON is wanted")?)?;
    if let Some(core) = task.core {
        let mut cores = CpuSet::new();
        cores.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &cores)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let figures = runtime.block_on(async {
        match task.function.as_str() {
            "rust.send" => send(&task.job).await,
            "rust.send_tens" => send_tens(&task.job).await,
            other => Err(format!("there is no work {other:?}").into()),
        }
    })?;
    say(&serde_json::to_string(&Answer { library: library(), figures })?)?;
    Ok(())
}

async fn send(job: &Job) -> Result<Figures, Error> {
    let mut client = connect(job).await?;
    let body = "x".repeat(job.body);
    for _ in 0..job.warm {
        client.send_message(&job.queue_url, &body).await?;
    }
    let mut taken = Vec::with_capacity(job.messages);
    let measured = Measured::start()?;
    for _ in 0..job.messages {
        let began = Instant::now();
        black_box(client.send_message(&job.queue_url, &body).await?);
        taken.push(began.elapsed());
    }
    measured.end(median(taken))
}

async fn send_tens(job: &Job) -> Result<Figures, Error> {
    let mut client = connect(job).await?;
    let body = "x".repeat(job.body);
    tens(&mut client, job, job.warm, &body).await?;
    let measured = Measured::start()?;
    tens(&mut client, job, job.messages, &body).await?;
    measured.end(None)
}

async fn tens(client: &mut Client, job: &Job, messages: usize, body: &str) -> Result<(), Error> {
    for _ in (0..messages).step_by(TEN) {
        let entries: Vec<_> = (0..TEN).map(|number| Entry { id: number.to_string(), message_body: body }).collect();
        let sent = black_box(client.send_message_batch(&job.queue_url, &entries).await?);
        if sent.successful.len() != TEN {
            return Err(format!("not all entries succeeded: {sent:?}").into());
        }
    }
    Ok(())
}

async fn connect(job: &Job) -> Result<Client, Error> {
    let credentials = Credentials::from_keys("bench", "bench", None);
    Client::connect(&job.endpoint_url, "us-east-1", credentials).await
}

/// A measurement that is under way.
struct Measured {
    cpu: Duration,
    began: Instant,
}

impl Measured {
    /// Says that all is ready, and waits for the word.
    fn start() -> Result<Measured, Error> {
        say("ready")?;
        io::stdin().read_line(&mut String::new())?;
        Ok(Measured { cpu: cpu()?, began: Instant::now() })
    }

    fn end(self, latency: Option<Duration>) -> Result<Figures, Error> {
        let (wall, used) = (self.began.elapsed(), cpu()? - self.cpu);
        Ok(Figures {
            cpu: microseconds(used),
            wall: microseconds(wall),
            memory: resident()?,
            latency: latency.map(microseconds),
        })
    }
}

/// CPU that this process has used with all its threads, user and system.
fn cpu() -> Result<Duration, Error> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let total = usage.user_time() + usage.system_time();
    Ok(Duration::from_micros(nix::sys::time::TimeValLike::num_microseconds(&total).try_into()?))
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn median(mut taken: Vec<Duration>) -> Option<Duration> {
    taken.sort_unstable();
    let (lower, upper) = (taken.get(taken.len().checked_sub(1)? / 2)?, taken.get(taken.len() / 2)?);
    Some((*lower + *upper) / 2)
}

/// Resident megabytes.
fn resident() -> Result<f64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("the kernel does not say what is resident")?.parse::<f64>()? / 1024.0)
}

/// A line for the harness.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What this is made of, with the versions of the lock that it is built from.
fn library() -> String {
    const LOCK: &str = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let after = LOCK.split(&format!("name = \"{name}\"\nversion = \"")).nth(1).unwrap_or_default();
        after.split('"').next().unwrap_or_default()
    };
    format!("hand-written Rust with hyper {} and aws-sigv4 {}", version("hyper"), version("aws-sigv4"))
}
