-- Takes up to ARGV[1] items off the lists KEYS[3…], the first list first, and stores each as
-- unacknowledged in the same step: no crash can lose an item between the two.
--
-- KEYS: the index and the hash of unacknowledged messages, then the lists.
-- ARGV: how many; a prefix for the tags, unique to this call; the time as kombu scores it;
--       the queue's name as JSON.
-- Returns the items as they were; of one that is larger than is kept of any, its beginning and its
-- size. The n-th has the tag prefix .. n, in three digits: so they sort.

-- What kombu restores after a crash must be a JSON object; anything else is put into one. So is
-- what is larger than any message may be: reading it here would hold up everybody.
local ITEM_MAX_BYTES = 524288
-- As READ_MAX of payments/intake/masking.py. A worker that fetched many large ones would have no
-- memory left.
local READ_MAX_BYTES = 1049600
-- Of a broken item this much survives a crash between here and the quarantine.
local HEX_MAX_BYTES = 131072

local hex_of = nil
local function hex(text)
  if not hex_of then
    hex_of = {}
    for byte = 0, 255 do hex_of[string.char(byte)] = string.format('%02x', byte) end
  end
  return (string.gsub(string.sub(text, 1, HEX_MAX_BYTES), '.', hex_of))
end

local function restorable(item)
  if #item <= ITEM_MAX_BYTES then
    local ok, value = pcall(cjson.decode, item)
    if ok and type(value) == 'table' and string.find(item, '^%s*{') then
      return item
    end
  end
  return '{"content-type": "application/x-unreadable", "body": "' .. hex(item) .. '", '
    .. '"content-encoding": "binary", "headers": {"reason": "no message; kept as hex"}, '
    .. '"properties": {"delivery_tag": "", "delivery_info": {"exchange": "", "routing_key": '
    .. ARGV[4] .. '}}}'
end

-- Before anything is taken: whether there is a place for it.
redis.call('ZCARD', KEYS[1])
redis.call('HLEN', KEYS[2])

local items = {}
for list = 3, #KEYS do
  while #items < tonumber(ARGV[1]) do
    -- RPOP first: it frees memory, and after it a Redis that is full takes the rest.
    local item = redis.pcall('RPOP', KEYS[list])
    if type(item) ~= 'string' then
      -- Empty. Or no list at all, which must not keep us from the others; or no write is taken.
      if item and #items == 0 and not string.find(item.err, 'WRONGTYPE', 1, true) then
        return item
      end
      break
    end
    if #item <= READ_MAX_BYTES then
      items[#items + 1] = item
    else
      items[#items + 1] = {string.sub(item, 1, READ_MAX_BYTES), #item}
    end
    local tag = ARGV[2] .. string.format('%03d', #items)
    redis.call('ZADD', KEYS[1], ARGV[3], tag)
    redis.call('HSET', KEYS[2], tag, '[' .. restorable(item) .. ',"",' .. ARGV[4] .. ']')
  end
end
return items
