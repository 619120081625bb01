-- Prolong leases. The epoch is looked at before the pending entry is touched: a bare XCLAIM would steal.
-- KEYS[1] the shard. ARGV: station, idle time to begin with (ms), then an id and its epoch, and so on.
-- Answers for each: 0 lost, 1 renewed, 2 renewed and messages wait.
local p, answers = KEYS[1], {}
for n = 3, #ARGV, 2 do
  local f = redis.call('HMGET', p .. 'x:' .. ARGV[n], 'e', 'o', 't', 'n')
  local answer = 0
  if f[1] == ARGV[n + 1] and f[2] == ARGV[1] and f[3] ~= '' then
    local kept = redis.call('XCLAIM', p .. 't', 'w', 'w', 0, f[3], 'IDLE', ARGV[2], 'JUSTID')
    if #kept == 1 then
      answer = f[4] == '0' and 1 or 2
    end
  end
  answers[#answers + 1] = answer
end
return answers
