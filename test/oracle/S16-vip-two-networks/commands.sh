# scenario S16-vip-two-networks; 'nodeX$' / 'client$' = where it ran; '#' lines = output
node1$ docker network create -d overlay --attachable --subnet 10.90.1.0/24 east
#   j8h2037kygak7nz5roc8uhj0v
node1$ docker network create -d overlay --attachable --subnet 10.90.2.0/24 west
#   g592tzo0yky6leoolky3uwz2l
node1$ docker service create --detach --no-resolve-image --stop-grace-period 1s --name five --network east --replicas 5 nginx
#   suei7r6zywk3cvqugewpnxeyw
node1$ docker service create --detach --no-resolve-image --stop-grace-period 1s --name one --network east --network west --replicas 1 --constraint node.hostname==node2 nginx
#   gmbx4yylv83gtvj95vphk2eip
node1$ docker service create --detach --no-resolve-image --stop-grace-period 1s --name gram --network west --replicas 2 busybox udpx serve 5050
#   hjtitl1krdy5ds0unrx3ifidm
node2$ docker run -dit --name probe --network east busybox sh
#   7e933d406cbaf8c0eba89ca7bc5569d289c9637cf0791df431cf66d44aa52ef6
node2$ docker network connect west probe
node2$ docker exec probe wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>ff7da149f84e</body></html>
node2$ docker exec probe wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>9f834fb45b7f</body></html>
node2$ docker exec probe wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>88b603a40d45</body></html>
node2$ docker exec probe wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>d9d40bc178e8</body></html>
node2$ docker exec probe wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>35a363808a02</body></html>
node2$ docker exec probe wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>ff7da149f84e</body></html>
node2$ docker exec probe wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>9f834fb45b7f</body></html>
node2$ docker exec probe wget -q -O - http://one/
#   <html><body><h1>Welcome to nginx!</h1>091c23e84bc0</body></html>
node2$ docker exec probe udpx send gram 5050 200 2
#   answer: got 200 bytes
#   answer: got 200 bytes
node2$ docker exec probe udpx send gram 5050 4000 1
#   answer: got 4000 bytes
node2$ docker exec probe sh -c echo\ x\ \|\ nc\ -w\ 2\ five\ 8080
#   nc: can't connect to remote host (10.90.1.2): Connection refused
node2$ docker exec probe udpx send gram 5051 10
#   recv: Connection refused
node2$ docker exec probe ping -c 1 gram
#   PING gram (10.90.2.5): 56 data bytes
#   64 bytes from 10.90.2.5: seq=0 ttl=64 time=13.859 ms
#   
#   --- gram ping statistics ---
#   1 packets transmitted, 1 packets received, 0% packet loss
#   round-trip min/avg/max = 13.859/13.859/13.859 ms
node2$ docker exec 091c23e84bc02c53d39e89bb04e9a0bed9c3ee6d3bc4f73d4221ebccf3bf31b6 wget -q -O - http://one/
#   <html><body><h1>Welcome to nginx!</h1>091c23e84bc0</body></html>
node2$ docker exec 091c23e84bc02c53d39e89bb04e9a0bed9c3ee6d3bc4f73d4221ebccf3bf31b6 wget -q -O - http://five/
#   <html><body><h1>Welcome to nginx!</h1>d9d40bc178e8</body></html>
node2$ docker exec 091c23e84bc02c53d39e89bb04e9a0bed9c3ee6d3bc4f73d4221ebccf3bf31b6 udpx send gram 5050 20
#   answer: got 20 bytes
node2$ docker exec 091c23e84bc02c53d39e89bb04e9a0bed9c3ee6d3bc4f73d4221ebccf3bf31b6 ping -c 1 probe
#   PING probe (10.90.1.12): 56 data bytes
#   64 bytes from 10.90.1.12: seq=0 ttl=64 time=8.158 ms
#   
#   --- probe ping statistics ---
#   1 packets transmitted, 1 packets received, 0% packet loss
#   round-trip min/avg/max = 8.158/8.158/8.158 ms
node2$ docker exec 091c23e84bc02c53d39e89bb04e9a0bed9c3ee6d3bc4f73d4221ebccf3bf31b6 ping -c 1 -s 2000 probe
#   PING probe (10.90.1.12): 2000 data bytes
#   2008 bytes from 10.90.1.12: seq=0 ttl=64 time=5.290 ms
#   
#   --- probe ping statistics ---
#   1 packets transmitted, 1 packets received, 0% packet loss
#   round-trip min/avg/max = 5.290/5.290/5.290 ms
