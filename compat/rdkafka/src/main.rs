//! rdkafka's (librdkafka's) scenarios and roles.

mod clients;
mod roles;
mod scenarios;

fn main() {
    job::main(|job| {
        let known = scenarios::run(job).or_else(|| roles::run(job));
        known.unwrap_or_else(|| job::check(false, format!("the program has no scenario {}", job.role)))
    });
}
