-- What wrk is told to do: the latencies as JSON on its last line; with
-- BENCH_PACE a pause between the requests of a connection, in milliseconds on
-- average; with BENCH_VISITORS so many visitors in turn, each with a cookie, a
-- User-Agent and a page of its own.

local pace = tonumber(os.getenv("BENCH_PACE") or "0")

if pace > 0 then
    function delay()
        return math.random(0, 2 * pace)
    end
end

local visitors = tonumber(os.getenv("BENCH_VISITORS") or "0")
local requests = {}
local turn     = 0

local function base64(text)
    local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        .. "0123456789+/"
    local out = {}

    for i = 1, #text - #text % 3, 3 do
        local a, b, c = text:byte(i, i + 2)
        local word = a * 65536 + b * 256 + c

        for shift = 18, 0, -6 do
            local n = math.floor(word / 2 ^ shift) % 64
            out[#out + 1] = alphabet:sub(n + 1, n + 1)
        end
    end

    return table.concat(out)
end

if visitors > 0 then
    function init(args)
        for i = 1, visitors do
            local cookie = base64(string.format('{"cid":"%048d",'
                .. '"$exchange_id":"visitor%036d.AbCdEf"}  ', i, i))

            local headers = {}

            for name, value in pairs(wrk.headers) do
                headers[name] = value
            end

            headers["Cookie"] = "session=" .. i .. "; __kla_id=" .. cookie
            headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)"
                .. " Gecko/20100101 Firefox/128." .. i

            requests[i] = wrk.format("GET", wrk.path .. "&visitor=" .. i,
                                     headers)
        end
    end

    function request()
        turn = turn % visitors + 1
        return requests[turn]
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
