use casebook_analysis::simulation::*;
fn main() {
    let seeds: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    for (name, retries, inc, share, tests, dr, pr, reg) in [
        ("r none", true, 0.0, (0.1, 0.9), usize::MAX, 20, 60, 3.0),
        ("r .2% 1-30", true, 0.002, (0.01, 0.3), usize::MAX, 20, 60, 3.0),
        ("r 1% .1-2", true, 0.01, (0.001, 0.02), usize::MAX, 20, 60, 3.0),
        ("r 1% 10-90", true, 0.01, (0.1, 0.9), usize::MAX, 20, 60, 3.0),
        ("n none", false, 0.0, (0.1, 0.9), usize::MAX, 20, 60, 3.0),
        ("n 1% 10-90", false, 0.01, (0.1, 0.9), usize::MAX, 20, 60, 3.0),
        ("n 1% .1-2", false, 0.01, (0.001, 0.02), usize::MAX, 20, 60, 3.0),
        ("small r", true, 0.01, (0.1, 0.9), 2210, 3, 9, 0.45),
        ("small n", false, 0.01, (0.1, 0.9), 2210, 3, 9, 0.45),
    ] {
        for seed in &seeds {
            let t = std::time::Instant::now();
            let r = simulate(&Options {
                seed: *seed,
                tests,
                retries,
                incidents: inc,
                incident_share: share,
                default_runs: dr,
                change_runs: pr,
                regressions: reg,
                ..Options::default()
            });
            let q = r.ours();
            println!(
                "{name:12} s{seed} p {:.3} r {:.3} {:.3} {:.3} {:.3} d {:.2} fr {} red {} av {} reg {} del {} {:?}",
                q.precision,
                q.recall[0],
                q.recall[1],
                q.recall[2],
                q.recall[3],
                q.median_days,
                r.false_resolves,
                r.red,
                r.avoided,
                r.regressions,
                r.delayed,
                t.elapsed()
            );
            if std::env::var("FULL").is_ok() {
                println!("{r}");
            }
        }
    }
}
