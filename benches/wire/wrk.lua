-- Plays the requests of a file in random order: a line each, METHOD, path, Accept and body between tabs.
-- At the end one line: answers, microseconds, the median and the 99th percentile in microseconds, failures.

local requests = {}

function init(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, accept, body = line:match("([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)")
    local headers = { Accept = accept, ["Content-Type"] = "application/json" }
    table.insert(requests, wrk.format(method, path, headers, body ~= "" and body or nil))
  end
  math.randomseed(tonumber(tostring(requests):match("0x(%x+)"), 16) % 2147483647)
end

function request()
  return requests[math.random(#requests)]
end

function done(summary, latency)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failures))
end
