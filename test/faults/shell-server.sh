#!/bin/sh
# A stdio MCP server that starts fast, has two processes of its own that ignore every polite end, and so does it.
# Its process id and theirs are lines of the file that is its first argument.
trap '' TERM HUP INT
sleep 300 </dev/null >/dev/null 2>&1 &
mine=$!
sh -c 'trap "" TERM HUP INT; echo $$; exec sleep 300' </dev/null >>"$1" 2>/dev/null &
printf '%s\n%s\n' $$ $mine >>"$1"
while IFS= read -r line; do
  id=${line#*\"id\":}
  id=${id%%[,\}]*}
  case $line in
    *'"method":"initialize"'*)
      printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"shell","version":"1"}}}\n' "$id" ;;
    *'"name":"hang"'*) ;;
    *'"method":"tools/call"'*)
      printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}\n' "$id" $$ ;;
    *'"id":'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
  esac
done
# Standard input has ended, and it stays all the same, though not for ever should a test break off.
sleep 300
