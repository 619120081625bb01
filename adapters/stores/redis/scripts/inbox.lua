-- The messages that wait. KEYS[1] the shard. ARGV: id. Answers false where there is no such execution.
local p, id = KEYS[1], ARGV[1]
if redis.call('EXISTS', p .. 'x:' .. id) == 0 then
  return false
end
return redis.call('HVALS', p .. 'i:' .. id)
