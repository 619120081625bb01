-- Ids below a cursor, newest first, of an index, that match what else is asked for.
-- KEYS[1] the shard. ARGV: index, upper bound as ZREVRANGEBYLEX wants it, how many, most to look at, then
-- what a record must hold: field, value, and so on.
-- Answers {where to go on, or false at the end, ids...}.
local p = KEYS[1]
local count, most = tonumber(ARGV[3]), tonumber(ARGV[4])
if #ARGV > 4 then
  count = most
end
local ids = redis.call('ZREVRANGEBYLEX', p .. ARGV[1], ARGV[2], '-', 'LIMIT', 0, count)
local found = {#ids == count and ids[count] or false}
local wanted = tonumber(ARGV[3])
for _, id in ipairs(ids) do
  local matches = true
  for n = 5, #ARGV, 2 do
    matches = matches and redis.call('HGET', p .. 'x:' .. id, ARGV[n]) == ARGV[n + 1]
  end
  if matches then
    found[#found + 1] = id
    if #found > wanted then
      found[1] = id
      return found
    end
  end
end
return found
