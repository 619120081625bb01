-- Take or keep a duty. KEYS[1] the duty. ARGV: owner, for how long (ms). Answers 1, or 0 where another has it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])  -- first, so that what follows succeeds where memory is full
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
