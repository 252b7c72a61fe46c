//! The classic text format of Prometheus.

/// Converts `OpenMetrics` to version 0.0.4
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>): HELP and TYPE of a counter use
/// the name of its samples, and there are no UNIT and EOF lines.
pub fn classic(open: &str) -> String {
    let counters: Vec<&str> = open
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let renamed = ["# HELP ", "# TYPE "].iter().find_map(|start| {
            let (name, rest) = line.strip_prefix(start)?.split_once(' ')?;
            counters.contains(&name).then(|| format!("{start}{name}_total {rest}"))
        });
        text.push_str(renamed.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_type_of_a_counter_use_the_name_of_its_samples() {
        let open = "# HELP a_seconds B.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n\
                    a_seconds 1\n# HELP runs All.\n# TYPE runs counter\nruns_total{a=\"# EOF\"} 2\n\
                    # EOF\n";
        let text = "# HELP a_seconds B.\n# TYPE a_seconds gauge\na_seconds 1\n\
                    # HELP runs_total All.\n# TYPE runs_total counter\nruns_total{a=\"# EOF\"} 2\n";
        assert_eq!(classic(open), text);
    }
}
