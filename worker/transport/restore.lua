-- Puts fetched messages back on their lists, byte for byte as they were stored: what no reader can
-- read is restored like anything else, and holds up nothing.
--
-- KEYS: the index and the hash of unacknowledged messages; the list for what names no queue.
-- ARGV: RPUSH (done next) or LPUSH (done last); then tags.
-- Returns the tags of messages that kombu stored for an exchange with a name, which only kombu's
-- tables lead to a queue; they stay where they are.

-- Stored by worker/fetch.lua or by kombu: [item,"exchange","queue"].
local STORED = '^%[(.*),%s*"([^"\\]*)",%s*"([^"\\]*)"%s*%]$'

local left = {}
for number = 2, #ARGV do
  local tag = ARGV[number]
  local stored = redis.call('HGET', KEYS[2], tag)
  local item, exchange, queue = nil, '', ''
  if stored then
    item, exchange, queue = string.match(stored, STORED)
  end
  if item and exchange ~= '' then
    left[#left + 1] = tag
  else
    local score = redis.call('ZSCORE', KEYS[1], tag)
    -- First what frees memory: after it, a Redis that is full takes the rest.
    redis.call('ZREM', KEYS[1], tag)
    redis.call('HDEL', KEYS[2], tag)
    if stored then
      local list = KEYS[3]
      if queue and queue ~= '' then list = queue end
      local put = redis.pcall(ARGV[1], list, item or stored)
      if type(put) == 'table' and put.err then  -- somebody made that key something else
        put = redis.pcall(ARGV[1], KEYS[3], item or stored)
      end
      if type(put) == 'table' and put.err then
        redis.call('HSET', KEYS[2], tag, stored)
        redis.call('ZADD', KEYS[1], score or 0, tag)
      end
    end
  end
end
return left
