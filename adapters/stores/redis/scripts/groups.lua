-- Make the consumer group of each shard's tickets, and its stream with it, where they are missing.
-- KEYS the shards, each ending in a colon. Tickets that are in a stream already are handed out anew.
-- It looks first: where memory is full Redis refuses even what would change nothing.
local function has_group(t)
  if redis.call('EXISTS', t) == 1 then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', t)) do
      for n = 1, #group, 2 do
        if group[n] == 'name' and group[n + 1] == 'w' then
          return true
        end
      end
    end
  end
  return false
end
for _, p in ipairs(KEYS) do
  if string.sub(p, -1) == ':' and not has_group(p .. 't') then
    redis.call('XGROUP', 'CREATE', p .. 't', 'w', '0', 'MKSTREAM')
  end
end
return 1
