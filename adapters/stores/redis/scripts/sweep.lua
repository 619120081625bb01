-- Turn due timers and lapsed claims into tickets, in each of the shards given.
-- KEYS the shards, each ending in a colon. ARGV: most of each kind in a shard, lapsed after (ms idle; empty:
-- look at timers only), ring for tickets (1 or empty), where to go on among the pending of each shard...
-- Answers {Redis's time (ms), then for each shard {next timer or false, tickets made, where to go on,
-- whether tickets can be read (where ringing; 1 or 0)}}.
if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local answers = {now_text}
local function sweep(n, p)
  local t, w, made, onward = p .. 't', p .. 'w', 0, '0-0'
  local function issue(id, x)
    redis.call('HSET', x, 't', redis.call('XADD', t, '*', 'i', id), 'a', '')
    if ARGV[3] ~= '' then
      redis.call('PUBLISH', p .. 'ring', id)
    end
    made = made + 1
  end
  local nearest = redis.call('ZRANGE', w, 0, 0, 'WITHSCORES')
  if nearest[2] and tonumber(nearest[2]) <= now then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', w, '-inf', now_text, 'LIMIT', 0, ARGV[1])) do
      redis.call('ZREM', w, id)
      local x = p .. 'x:' .. id
      if redis.call('HGET', x, 't') == '' then
        issue(id, x)
      end
    end
    nearest = redis.call('ZRANGE', w, 0, 0, 'WITHSCORES')
  end
  if ARGV[2] ~= '' then
    local lapsed = redis.call('XAUTOCLAIM', t, 'w', 'w', ARGV[2], ARGV[3 + n], 'COUNT', ARGV[1])
    onward = lapsed[1]
    for _, entry in ipairs(lapsed[2]) do
      -- 6.2 answers nil for a pending entry that somebody deleted by hand; the reconciler mends that.
      if entry and entry[1] then
        local id = entry[2][2]
        local x = p .. 'x:' .. id
        redis.call('XACK', t, 'w', entry[1])
        redis.call('XDEL', t, entry[1])
        -- The owner stays on record: it may commit until another is made.
        if redis.call('HGET', x, 't') == entry[1] then
          issue(id, x)
        end
      end
    end
  end
  local unread = made
  if made == 0 and ARGV[3] ~= '' then
    unread = redis.call('XLEN', t) - redis.call('XPENDING', t, 'w')[1]
  end
  answers[n + 1] = {nearest[2] or false, made, onward, unread > 0 and 1 or 0}
end
for n, p in ipairs(KEYS) do
  if string.sub(p, -1) == ':' then
    sweep(n, p)
  end
end
return answers
