//! The program's side of the harness' protocol, for clients in Rust: options, events, checks, results.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How a scenario ends.
pub type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// One run of one scenario or role.
#[derive(Clone)]
pub struct Job {
    pub role: String,
    pub bootstrap: String,
    pub topic: String,
    pub group: String,
    options: Map<String, Value>,
    /// What the harness may say while the program runs.
    said: Arc<Said>,
}

struct Said {
    stopped: AtomicBool,
    paused: AtomicBool,
    partitions: AtomicI32,
}

impl Job {
    fn from_command_line() -> Job {
        let words: Vec<String> = std::env::args().collect();
        let given = std::env::var("COMPAT_OPTIONS").unwrap_or_else(|_| "{}".into());
        let options: Map<String, Value> = serde_json::from_str(&given).expect("options are JSON");
        let text = |name: &str, otherwise: String| match options.get(name) {
            Some(Value::String(value)) => value.clone(),
            _ => otherwise,
        };
        let (topic, group) = (text("topic", words[1].clone()), text("group", format!("group-{}", words[1])));
        let partitions = options.get("partitions").and_then(Value::as_i64).unwrap_or(1) as i32;
        let said = Said { stopped: false.into(), paused: false.into(), partitions: partitions.into() };
        Job { role: words[1].clone(), bootstrap: words[2].clone(), topic, group, options, said: said.into() }
    }

    /// Follows what the harness says from now on.
    pub fn listen(&self) {
        let said = self.said.clone();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
                    ("stop", _) => break,
                    ("pause", _) => said.paused.store(true, Ordering::SeqCst),
                    ("resume", _) => said.paused.store(false, Ordering::SeqCst),
                    ("partitions", count) => said.partitions.store(count.parse().unwrap_or(1), Ordering::SeqCst),
                    _ => {}
                }
            }
            said.stopped.store(true, Ordering::SeqCst);
        });
    }

    pub fn running(&self) -> bool {
        !self.said.stopped.load(Ordering::SeqCst)
    }

    pub fn paused(&self) -> bool {
        self.said.paused.load(Ordering::SeqCst)
    }

    /// How many partitions there are, or a producer uses.
    pub fn partitions(&self) -> i32 {
        self.said.partitions.load(Ordering::SeqCst)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.options.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    pub fn number(&self, name: &str, otherwise: f64) -> f64 {
        self.options.get(name).and_then(Value::as_f64).unwrap_or(otherwise)
    }

    /// An option that is an object of numbers by partition.
    pub fn offsets(&self) -> BTreeMap<i32, i64> {
        let given = self.options.get("offsets").and_then(Value::as_object);
        let entries = given.into_iter().flatten();
        entries.map(|(number, offset)| (number.parse().unwrap_or(0), offset.as_i64().unwrap_or(0))).collect()
    }

    /// The settings of a topic to create.
    pub fn configs(&self) -> BTreeMap<String, String> {
        let given = self.options.get("configs").and_then(Value::as_object);
        given.into_iter().flatten().map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned())).collect()
    }

    /// The partitions that read has to read.
    pub fn wanted_partitions(&self) -> Vec<i32> {
        match self.options.get("only").and_then(Value::as_array) {
            Some(only) => only.iter().filter_map(Value::as_i64).map(|number| number as i32).collect(),
            None => (0..self.partitions()).collect(),
        }
    }

    /// The value of a producer's record: its number, and the padding that is asked for.
    pub fn value(&self, number: usize) -> String {
        format!("{number} {}", self.text("padding").unwrap_or_default()).trim_end().to_owned()
    }

    /// Waits until the next record of a producer is due, in short steps; false when it has to stop.
    pub fn pace(&self, started: Instant, number: usize, mut meanwhile: impl FnMut()) -> bool {
        let due = Duration::from_secs_f64(number as f64 / self.number("rate", 100.0));
        while self.running() && started.elapsed() < due {
            meanwhile();
            std::thread::sleep((due.saturating_sub(started.elapsed())).min(Duration::from_millis(50)));
        }
        self.running()
    }
}

/// One event line.
pub fn emit(event: &str, mut fields: Value) {
    static OUTPUT: Mutex<()> = Mutex::new(());
    fields["event"] = event.into();
    let _alone = OUTPUT.lock();
    println!("{fields}");
}

/// The event of a record that was read.
pub fn emit_record(topic: &str, partition: i32, offset: i64, value: &[u8], headers: &BTreeMap<String, String>) {
    let value = String::from_utf8_lossy(value);
    emit("record", json!({"topic": topic, "partition": partition, "offset": offset, "value": value, "headers": headers}));
}

/// How the sending of one record ended.
pub fn emit_produced(result: Result<(i32, i64), String>, value: &str) {
    match result {
        Ok((partition, offset)) => emit("acked", json!({"partition": partition, "offset": offset, "value": value})),
        Err(error) => emit("refused", json!({"error": error})),
    }
}

/// Where a dead letter came from, as its headers say it.
pub fn origin(topic: &str, partition: i32, offset: i64) -> [(&'static str, String); 3] {
    [("topic", topic.to_owned()), ("partition", partition.to_string()), ("offset", offset.to_string())]
}

/// Fails the scenario unless `condition` holds.
pub fn check(condition: bool, message: impl Into<String>) -> Done {
    if condition { Ok(()) } else { Err(message.into().into()) }
}

/// Fails the scenario unless both are equal.
pub fn check_equal<T: Debug + PartialEq>(actual: T, expected: T, what: impl Display) -> Done {
    check(actual == expected, format!("{what}: {actual:?}, expected {expected:?}"))
}

/// Waits up to 20 s for `holds`.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Done {
    let started = Instant::now();
    while !holds() {
        check(started.elapsed() < Duration::from_secs(20), format!("{what}: not within 20 s"))?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A timestamp in ms: in the past, but not so far that retention would remove the record.
pub fn an_hour_ago() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as i64 - 3_600_000
}

/// Bytes that compression cannot shorten.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// One of the records that the produce scenarios send.
pub struct Expected {
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(&'static str, String)>,
    pub timestamp: i64,
}

/// Records with key, value, headers, timestamp: one without key, one without value, some without headers.
pub fn expected_records(job: &Job) -> Vec<Expected> {
    let start = an_hour_ago();
    let filling = "abcdefgh".repeat(job.number("value_bytes", 1000.0) as usize / 8);
    let make = |number: usize| Expected {
        key: (number != 1).then(|| format!("key-{}", number % 10)),
        value: (number != 2).then(|| format!("value-{number}-{filling}")),
        headers: match number % 3 {
            0 => vec![],
            _ => vec![("number", number.to_string()), ("empty", String::new())],
        },
        timestamp: start + number as i64,
    };
    (0..job.number("records", 100.0) as usize).map(make).collect()
}

/// Runs what the command line names, and reports how it ended.
pub fn main(run: impl FnOnce(&Job) -> Done) {
    let job = Job::from_command_line();
    let started = Instant::now();
    let ended = run(&job);
    let error = ended.err().map(|error| error.to_string());
    let seconds = started.elapsed().as_secs_f64();
    emit("result", json!({"scenario": job.role, "passed": error.is_none(), "seconds": seconds, "error": error}));
    std::process::exit(error.is_some().into());
}
