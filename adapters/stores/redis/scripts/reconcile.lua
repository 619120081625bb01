-- Look whether what is said to hold executions is really there; where it is not, make a ticket.
-- KEYS[1] the shard. ARGV: index, lower bound of ids as ZRANGEBYLEX wants it, how many, ring for tickets
-- (1 or empty). Answers {how many were looked at, the last of them or false, mended ids...}.
if redis.replicate_commands then redis.replicate_commands() end
local p, t = KEYS[1], KEYS[1] .. 't'
local handed = '0-0'
if redis.call('EXISTS', t) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', t)) do
    for n = 1, #group, 2 do
      if group[n] == 'last-delivered-id' then
        handed = group[n + 1]
      end
    end
  end
end
local function parts(entry)
  local time, number = string.match(entry, '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(number)
end
local handed_time, handed_number = parts(handed)
local function is_live(entry)
  if #redis.call('XRANGE', t, entry, entry) == 0 then
    return false
  end
  local time, number = parts(entry)
  if time > handed_time or (time == handed_time and number > handed_number) then
    return true
  end
  return #redis.call('XPENDING', t, 'w', entry, entry, 1) == 1
end
local ids = redis.call('ZRANGEBYLEX', p .. ARGV[1], ARGV[2], '+', 'LIMIT', 0, ARGV[3])
local answer = {#ids, ids[#ids] or false}
for _, id in ipairs(ids) do
  local x = p .. 'x:' .. id
  local f = redis.call('HMGET', x, 't', 'a')
  if f[1] then
    local held = true
    if f[1] ~= '' then
      held = is_live(f[1])
    elseif f[2] ~= '' then
      held = redis.call('ZSCORE', p .. 'w', id)
    else
      held = redis.call('EXISTS', p .. 'i:' .. id) == 0
    end
    if not held then
      if f[1] ~= '' then
        redis.call('XDEL', t, f[1])
      end
      redis.call('HSET', x, 't', redis.call('XADD', t, '*', 'i', id), 'a', '')
      if ARGV[4] ~= '' then
        redis.call('PUBLISH', p .. 'ring', id)
      end
      answer[#answer + 1] = id
    end
  end
end
return answer
