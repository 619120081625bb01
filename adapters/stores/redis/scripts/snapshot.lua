-- Keep a snapshot unless a newer one is there, and note where in the journal the batches after it begin.
-- KEYS[1] the shard. ARGV: id, version, snapshot. Answers 0 where there is no such execution, else 1.
local p, id, version = KEYS[1], ARGV[1], tonumber(ARGV[2])
local x, j = p .. 'x:' .. id, p .. 'j:' .. id
local f = redis.call('HMGET', x, 'v', 'zv')
if not f[1] then
  return 0
end
if f[2] and tonumber(f[2]) > version then
  return 1
end
local low, high = 0, redis.call('LLEN', j)
while low < high do
  local middle = math.floor((low + high) / 2)
  if struct.unpack('>I4', redis.call('LINDEX', j, middle)) > version then
    high = middle
  else
    low = middle + 1
  end
end
redis.call('SET', p .. 's:' .. id, ARGV[3])
redis.call('HSET', x, 'zv', ARGV[2], 'zi', low)
return 1
