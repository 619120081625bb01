-- How many executions there are of each status, over the shards given.
-- KEYS the shards, each ending in a colon. ARGV: statuses. Answers a number for each status.
local sums = {}
for n, status in ipairs(ARGV) do
  sums[n] = 0
  for _, p in ipairs(KEYS) do
    if string.sub(p, -1) == ':' then
      sums[n] = sums[n] + redis.call('ZCARD', p .. 'st:' .. status)
    end
  end
end
return sums
