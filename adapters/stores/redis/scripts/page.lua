-- Ids below a cursor, newest first, of some indexes, whose records match what else is asked for.
-- KEYS[1] the shard. ARGV: upper bound as ZREVRANGEBYLEX wants it, how many of an index, most to look at in
-- one, how many indexes, the indexes, then what a record must hold: field, value, and so on.
-- Answers for each index {where to go on, or false at its end, ids...}.
local p, wanted, indexes = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local checks = 5 + indexes
local count = #ARGV < checks and wanted or tonumber(ARGV[3])
local answer = {}
local function matches(id)
  for n = checks, #ARGV, 2 do
    if redis.call('HGET', p .. 'x:' .. id, ARGV[n]) ~= ARGV[n + 1] then
      return false
    end
  end
  return true
end
for n = 5, 4 + indexes do
  local ids = redis.call('ZREVRANGEBYLEX', p .. ARGV[n], ARGV[1], '-', 'LIMIT', 0, count)
  local found = {#ids == count and ids[count] or false}
  for _, id in ipairs(ids) do
    if matches(id) then
      found[#found + 1] = id
      if #found > wanted then
        found[1] = id
        break
      end
    end
  end
  answer[#answer + 1] = found
end
return answer
