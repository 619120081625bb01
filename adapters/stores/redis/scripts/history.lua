-- Whole batches from the one that holds event `after + 1`, until they hold `limit` events.
-- KEYS[1] the shard. ARGV: id, after, limit. Answers false where there is no such execution, else batches.
local p, id = KEYS[1], ARGV[1]
if redis.call('EXISTS', p .. 'x:' .. id) == 0 then
  return false
end
local j, after, limit = p .. 'j:' .. id, tonumber(ARGV[2]), tonumber(ARGV[3])
local size = redis.call('LLEN', j)
-- A batch begins with the number of its last event. Find the first whose last event comes after `after`.
local low, high = 0, size
while low < high do
  local middle = math.floor((low + high) / 2)
  if struct.unpack('>I4', redis.call('LINDEX', j, middle)) > after then
    high = middle
  else
    low = middle + 1
  end
end
local before = 0
if low > 0 then
  before = struct.unpack('>I4', redis.call('LINDEX', j, low - 1))
end
local found = {}
while low < size do
  for _, batch in ipairs(redis.call('LRANGE', j, low, low + 31)) do
    found[#found + 1] = batch
    if struct.unpack('>I4', batch) - before >= limit then
      return found
    end
  end
  low = low + 32
end
return found
