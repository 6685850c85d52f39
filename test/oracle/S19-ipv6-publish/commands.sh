# scenario S19-ipv6-publish; 'nodeX$' / 'client$' = where it ran; '#' lines = output
# IPv6 is enabled on node1 for this scenario
node1$ docker network create --ipv6 --subnet 10.55.0.0/24 --subnet fd00:cafe:7::/80 -o com.docker.network.driver.mtu=1400 dual
#   06ee76431f614a7bfd71829bb37aa5f43593b50e02813c73cdd3af8abd62d942
node1$ docker run -d --name w6 --network dual -p 8666:80 nginx
#   134343fe9b31d03ff2a2e7c737fe8fc9e7e26872fdba7eb9afe375137d7342f4
node1$ docker run -dit --name x6 --network dual busybox udpx serve 4444
#   3b3de33b4384f19b8524d59155ffa6bd68cca1829f49b424b174e59350ceb2f3
node1$ docker run -dit --name y6 --network dual busybox sh
#   a8d8ab1d69162289aa531d85a5a9e6d8e4e72d6b2556e524b4b9303d3d7d855a
node1$ docker exec y6 ping6 -c 2 fd00:cafe:7::2
#   PING fd00:cafe:7::2 (fd00:cafe:7::2): 56 data bytes
#   64 bytes from fd00:cafe:7::2: seq=0 ttl=64 time=15.847 ms
#   64 bytes from fd00:cafe:7::2: seq=1 ttl=64 time=6.415 ms
#   
#   --- fd00:cafe:7::2 ping statistics ---
#   2 packets transmitted, 2 packets received, 0% packet loss
#   round-trip min/avg/max = 6.415/11.131/15.847 ms
node1$ docker exec y6 ping6 -c 1 -s 4000 fd00:cafe:7::3
#   PING fd00:cafe:7::3 (fd00:cafe:7::3): 4000 data bytes
#   4008 bytes from fd00:cafe:7::3: seq=0 ttl=64 time=35.440 ms
#   
#   --- fd00:cafe:7::3 ping statistics ---
#   1 packets transmitted, 1 packets received, 0% packet loss
#   round-trip min/avg/max = 35.440/35.440/35.440 ms
node1$ docker exec y6 wget -q -O - http://\[fd00:cafe:7::2\]/
#   <html><body><h1>Welcome to nginx!</h1>134343fe9b31</body></html>
node1$ docker exec y6 sh -c echo\ x\ \|\ nc\ -w\ 2\ fd00:cafe:7::2\ 81
#   nc: can't connect to remote host: Connection refused
node1$ docker exec y6 udpx send 10.55.0.3 4444 50
#   answer: got 50 bytes
node1$ docker exec y6 udpx send 10.55.0.3 4445 50
#   recv: Connection refused
node1$ docker exec y6 sh -c echo\ hello\ \|\ nc\ -u\ -w\ 1\ fd00:cafe:7::3\ 4444
#   nc: invalid option -- 'u'
#   BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.
#   
#   Usage: nc [-iN] [-wN] [-l] [-p PORT] [-f FILE|IPADDR PORT] [-e PROG]
#   
#   Open a pipe to IP:PORT or FILE
#   
#   	-l	Listen mode, for inbound connects
#   		(use -ll with -e for persistent server)
#   	-p PORT	Local port
#   	-w SEC	Connect timeout
#   	-i SEC	Delay interval for lines sent
#   	-f FILE	Use file (ala /dev/ttyS0) instead of network
#   	-e PROG	Run PROG after connect
node1$ docker exec y6 sh -c echo\ hello\ \|\ nc\ -u\ -w\ 1\ fd00:cafe:7::3\ 4445
#   nc: invalid option -- 'u'
#   BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.
#   
#   Usage: nc [-iN] [-wN] [-l] [-p PORT] [-f FILE|IPADDR PORT] [-e PROG]
#   
#   Open a pipe to IP:PORT or FILE
#   
#   	-l	Listen mode, for inbound connects
#   		(use -ll with -e for persistent server)
#   	-p PORT	Local port
#   	-w SEC	Connect timeout
#   	-i SEC	Delay interval for lines sent
#   	-f FILE	Use file (ala /dev/ttyS0) instead of network
#   	-e PROG	Run PROG after connect
node1$ docker exec y6 nslookup w6
#   Server:		127.0.0.11
#   Address:	127.0.0.11:53
#   
#   Non-authoritative answer:
#   Name:	w6
#   Address: 10.55.0.2
#   
#   Non-authoritative answer:
#   Name:	w6
#   Address: fd00:cafe:7::2
#   
node1$ docker exec y6 wget -q -O - http://w6/
#   <html><body><h1>Welcome to nginx!</h1>134343fe9b31</body></html>
node1$ docker exec y6 ping6 -c 1 fd00:cafe:7::1
#   PING fd00:cafe:7::1 (fd00:cafe:7::1): 56 data bytes
#   64 bytes from fd00:cafe:7::1: seq=0 ttl=64 time=28.054 ms
#   
#   --- fd00:cafe:7::1 ping statistics ---
#   1 packets transmitted, 1 packets received, 0% packet loss
#   round-trip min/avg/max = 28.054/28.054/28.054 ms
node1$ docker exec y6 ping6 -c 1 -t 1 -W 2 fd00:cafe:8::1
#   PING fd00:cafe:8::1 (fd00:cafe:8::1): 56 data bytes
#   
#   --- fd00:cafe:8::1 ping statistics ---
#   1 packets transmitted, 0 packets received, 100% packet loss
node1$ docker exec y6 ping6 -c 1 -W 4 fd00:cafe:7::77
#   PING fd00:cafe:7::77 (fd00:cafe:7::77): 56 data bytes
#   
#   --- fd00:cafe:7::77 ping statistics ---
#   1 packets transmitted, 0 packets received, 100% packet loss
node1$ docker exec y6 ping6 -c 1 w6
#   PING w6 (fd00:cafe:7::2): 56 data bytes
#   64 bytes from fd00:cafe:7::2: seq=0 ttl=64 time=3.720 ms
#   
#   --- w6 ping statistics ---
#   1 packets transmitted, 1 packets received, 0% packet loss
#   round-trip min/avg/max = 3.720/3.720/3.720 ms
node1$ ping -6 -c 1 fd00:cafe:7::3
#   PING fd00:cafe:7::3(fd00:cafe:7::3) 56 data bytes
#   64 bytes from fd00:cafe:7::3: icmp_seq=1 ttl=64 time=2.29 ms
#   
#   --- fd00:cafe:7::3 ping statistics ---
#   1 packets transmitted, 1 received, 0% packet loss, time 5ms
#   rtt min/avg/max/mdev = 2.289/2.289/2.289/0.000 ms
node1$ ping -6 -c 1 -s 2000 fd00:cafe:7::3
#   PING fd00:cafe:7::3(fd00:cafe:7::3) 2000 data bytes
#   2008 bytes from fd00:cafe:7::3: icmp_seq=1 ttl=64 time=9.02 ms
#   
#   --- fd00:cafe:7::3 ping statistics ---
#   1 packets transmitted, 1 received, 0% packet loss, time 1ms
#   rtt min/avg/max/mdev = 9.021/9.021/9.021/0.000 ms
node1$ curl -s -g http://\[::1\]:8666/
#   <html><body><h1>Welcome to nginx!</h1>134343fe9b31</body></html>
node1$ curl -s -g http://\[fd00:cafe:7::2\]/
#   <html><body><h1>Welcome to nginx!</h1>134343fe9b31</body></html>
client$ python3 /share/guest/http.py 10.66.7.21 8666 1 52001
#   0 52001 <html><body><h1>Welcome to nginx!</h1>134343fe9b31</body></html>
node1$ docker exec y6 ip -6 route
#   fd00:cafe:7::/80 dev eth0  metric 256 
#   fe80::/64 dev eth0  metric 256 
#   default via fd00:cafe:7::1 dev eth0  metric 1024 
#   multicast ff00::/8 dev eth0  metric 256 
