# shellcheck shell=bash
# Sourced by hack/quickstart: the pod network that it makes where the host has none, and the way back.
# $undo is a directory that outlives a restart of the host.
conf_dir=/etc/cni/net.d
conf_list=$conf_dir/50-cri-ts-quickstart.conflist
bridge=cri-ts-qs0
forwarding=/proc/sys/net/ipv4/ip_forward

network_up() {
  [ -e "$undo/network" ] || remember_network
  if ! ls "$conf_dir"/*.conf "$conf_dir"/*.conflist "$conf_dir"/*.json >/dev/null 2>&1; then
    mkdir -p "$conf_dir"
    write_conf_list
  fi
  echo 1 >$forwarding
}

remember_network() {
  local directory
  for directory in /etc/cni $conf_dir /run/netns; do [ -e $directory ] || echo $directory; done >"$undo/made-directories"
  mountpoint -q /run/netns || touch "$undo/made-netns-mount"
  iptables_chains >"$undo/chains"
  nft list tables >"$undo/tables"
  cat /proc/sys/kernel/random/boot_id $forwarding >"$undo/network"
}

write_conf_list() {
  cat >$conf_list <<JSON
{
  "cniVersion": "1.0.0",
  "name": "cri-ts-quickstart",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "$bridge",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "dataDir": "$root/cni-leases",
        "ranges": [[{ "subnet": "10.213.77.0/24" }]],
        "routes": [{ "dst": "0.0.0.0/0" }]
      }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
JSON
}

network_down() {
  rm -f $conf_list
  ! ip_link_exists $bridge || delete_link $bridge
  [ -e "$undo/network" ] || return 0
  # The first network namespace makes /run/netns a mount of its own, as `ip netns` does; it is left if others use it.
  if [ -e "$undo/made-netns-mount" ] && mountpoint -q /run/netns && [ -z "$(ls /run/netns)" ]; then umount /run/netns; fi
  tac "$undo/made-directories" | while read -r directory; do rmdir "$directory" || true; done
  remove_new_chains
  remove_new_tables
  # After a restart of the host the setting is another's.
  [ "$(head -n 1 "$undo/network")" != "$(cat /proc/sys/kernel/random/boot_id)" ] || tail -n 1 "$undo/network" >$forwarding
}

ip_link_exists() { grep -q "^ *$1:" /proc/net/dev; }

# iproute2 is not on every host.
delete_link() { if command -v ip >/dev/null; then ip link delete "$1"; else busybox ip link delete "$1"; fi; }

iptables_chains() {
  local program
  for program in iptables ip6tables; do
    "$program-save" -t nat 2>/dev/null | sed -n "s/^:\(CNI-HOSTPORT-[^ ]*\).*/$program \1/p"
  done | sort
}

# The chains for host ports, which the portmap plugin makes once and keeps; not if a pod of another runtime uses them.
remove_new_chains() {
  local program chain rule
  iptables_chains | comm -13 "$undo/chains" - >"$undo/new-chains"
  while read -r program chain; do
    ! $program-save -t nat | grep -q '^-A CNI-HOSTPORT-DNAT ' || continue
    $program-save -t nat | sed -n "s/^-A \(.* -j $chain\)$/-D \1/p" | while read -r rule; do
      xargs "$program" -t nat <<<"$rule"
    done
    $program -t nat -F "$chain"
    $program -t nat -X "$chain" || true
  done <"$undo/new-chains"
}

# iptables makes a table of nft at the first look at it; one that is new and holds no rule is taken away again.
remove_new_tables() {
  local word family name
  nft list tables | grep -vxF -f "$undo/tables" | while read -r word family name; do
    case $name in filter | nat | mangle | raw | security) ;; *) continue ;; esac
    if ! nft list "$word" "$family" "$name" | grep -qvE '^(table|\s*chain|\s*type|\s*\}|\s*$|#)'; then
      nft delete "$word" "$family" "$name"
    fi
  done || true
}
