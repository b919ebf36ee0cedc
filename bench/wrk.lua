-- What wrk is told to do: the latencies as JSON on its last line, and with
-- BENCH_PACE a pause between the requests of a connection, in milliseconds on
-- average.

local pace = tonumber(os.getenv("BENCH_PACE") or "0")

if pace > 0 then
    function delay()
        return math.random(0, 2 * pace)
    end
end

function done(summary, latency, requests)
    local errors = summary.errors

    io.write(string.format(
        '\n{"requests":%d,"seconds":%.6f,"errors":%d,"statuses":%d,'
        .. '"p50":%d,"p99":%d,"p999":%d}\n',
        summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.timeout,
        errors.status, latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9)))
end
