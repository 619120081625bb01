-- Add a replica's tallies to everybody's sums, note that it lives, and tell what all know.
-- KEYS[1] the base of health. ARGV: replica, window (s), after how long a replica is forgotten (ms), the mark
-- of the breakers and overrides that the caller has, then second, function and packed tally, and so on.
-- Answers: {now (ms), replicas, mark, {second, {function, sum, ...}, ...}, breakers, overrides}; the last two
-- (hashes) only where the mark is another than the caller's.
-- What lies here in another form than ours is thrown away: health must not stop for it.
if redis.replicate_commands then redis.replicate_commands() end
local p = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local second, window = tonumber(time[1]), tonumber(ARGV[2])
local failed
local function try(command, key, ...)
  local said = redis.pcall(command, key, ...)
  if type(said) == 'table' and said.err then
    if string.find(said.err, 'WRONGTYPE', 1, true) then
      redis.call('DEL', key)
      said = redis.pcall(command, key, ...)
    elseif string.find(said.err, 'hash value', 1, true) or string.find(said.err, 'overflow', 1, true) then
      return false
    end
    if type(said) == 'table' and said.err then
      failed = string.gsub(said.err, '^%-', '')
      if string.find(failed, '^@') then
        failed = 'ERR ' .. failed  -- as Redis 6.2 itself would wrap it
      end
      return false
    end
  end
  return said
end
local touched = {}
for n = 5, #ARGV, 3 do
  local of = tonumber(ARGV[n])
  -- The clocks of replicas differ by little; what lies further ahead would stay for ever.
  if of and of > second - window and of <= second + 5 then
    try('HINCRBY', p .. 't:' .. ARGV[n], ARGV[n + 1], ARGV[n + 2])
    touched[ARGV[n]] = true
  end
end
for of in pairs(touched) do
  redis.call('EXPIRE', p .. 't:' .. of, window + 10)
end
try('ZADD', p .. 'r', string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', p .. 'r', '-inf', string.format('%.0f', now - tonumber(ARGV[3])))
if failed then
  return {err = failed}
end
local old = try('ZRANGEBYSCORE', p .. 'x', '-inf', string.format('%.0f', now), 'LIMIT', 0, 100) or {}
for _, key in ipairs(old) do
  redis.call('ZREM', p .. 'x', key)
  redis.call('HDEL', p .. 'b', key)
end
local mark = try('GET', p .. 'mark')
if #old > 0 or not mark then
  mark = time[1] .. '.' .. time[2]
  try('SET', p .. 'mark', mark)
end
local tallies = {}
for of = second - window + 1, second + 5 do
  local name = string.format('%.0f', of)
  local sums = try('HGETALL', p .. 't:' .. name)
  if sums and #sums > 0 then
    tallies[#tallies + 1] = name
    tallies[#tallies + 1] = sums
  end
end
local answer = {string.format('%.0f', now), redis.call('ZCARD', p .. 'r'), mark, tallies}
if mark ~= ARGV[4] then
  answer[5] = try('HGETALL', p .. 'b') or {}
  answer[6] = try('HGETALL', p .. 'o') or {}
end
if failed then
  return {err = failed}
end
return answer
