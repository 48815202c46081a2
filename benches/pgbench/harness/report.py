"""Results as Markdown tables."""

import statistics


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def median(results, key):
    values = [result[key] for result in results if result.get(key) is not None]
    return statistics.median(values) if values else None


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def cells(results):
    """The protocols and client counts that were measured, in order."""
    return list(dict.fromkeys((one["protocol"], one["clients"]) for one in results))


def throughput(results, names, title):
    parts = []
    for protocol, clients in cells(results):
        rows = []
        for name in names:
            runs = [one for one in results
                    if (one["target"], one["protocol"], one["clients"]) == (name, protocol, clients)]
            if not runs:
                continue
            rounds = [one for one in runs if one["kind"] == "round"]
            errors = {one["error"] for one in runs if one.get("error")}
            rows.append([
                name, number(median(rounds, "tps")), number(median(rounds, "p50_us")), number(median(rounds, "p99_us")),
                number(median(rounds, "cpu_us"), 1), number(median(runs, "instructions_user")),
                number(median(runs, "instructions_kernel")),
                " ".join(number(one.get("tps")) for one in rounds),
                " ".join(number(one.get("p99_us")) for one in rounds), "; ".join(sorted(errors)),
            ])
        header = ["system", "tps", "p50 µs", "p99 µs", "CPU µs", "instructions, user", "kernel", "tps of each round",
                  "p99 of each round", "errors"]
        parts.append(f"### {title}: {protocol}, {clients} client{'s' if clients > 1 else ''}\n\n{table(header, rows)}")
    return parts


def whole(report):
    names = report["targets"]
    parts = [f"Machine: {report['machine']}. {report['seconds']} s a run, medians of {report['rounds']} alternating rounds."]
    parts += throughput(report["throughput"], names, "Point selects")
    storms = throughput(report["connections"], names, "Connect, select, disconnect")
    parts += storms
    if report["memory"]:
        rows = [[one["target"], number(one["clients"]), number(one["login_kib_each"], 1), number(one["query_kib_each"], 1),
                 number(one["before_kib"] / 1024, 1), number((one["before_kib"] + one["closed_kib_more"]) / 1024, 1)]
                for one in report["memory"]]
        header = ["system", "idle clients", "KiB each, logged in", "after one query", "MiB before", "MiB after all closed"]
        parts.append(f"### Memory of idle clients\n\n{table(header, rows)}")
    rows = []
    for name in names:
        runs = [one for one in report["streaming"] if one["target"] == name]
        if runs:
            rows.append([name, number(median(runs, "mb_per_second")), number(median(runs, "cpu_seconds_per_gb"), 2),
                         number(median(runs, "memory_grown_kib"))])
    header = ["system", "MB/s", "CPU s/GB", "memory grown, KiB"]
    parts.append(f"### {report['stream_rows']:,} rows to one client\n\n{table(header, rows)}")
    return "\n\n".join(parts) + "\n"
