# scenario S18-icmp-errors; 'nodeX$' / 'client$' = where it ran; '#' lines = output
node1$ docker network create --subnet 10.44.0.0/24 -o com.docker.network.driver.mtu=1200 narrow
#   27d87e380bd03cb44553e059bb9e9e39c8d84395a73541f6c83b24f4eb8d490f
node1$ docker network create --subnet 10.45.0.0/24 wide
#   e0f77e8e58abf1603aeb6f0dcec077ba6316b396e67d786de50e43c9e327f596
node1$ docker run -d --name big -p 5600:600/udp -p 5601:80 --network wide busybox sh -c head\ -c\ 30000\ /dev/zero\ \|\ tr\ \"\\000\"\ q\ \>\ /www/big\;\ udpx\ serve\ 600\ \&\ exec\ httpd\ -f\ -p\ 80\ -h\ /www
#   0c53540f4ff4fb80e202f8015a728b81c2a1def111ed23052eeb5963810c0495
node1$ docker run -d --name small -p 5700:600/udp -p 5701:80 -p 5702:601/udp --network narrow busybox sh -c head\ -c\ 30000\ /dev/zero\ \|\ tr\ \"\\000\"\ q\ \>\ /www/big\;\ udpx\ serve\ 600\ \&\ exec\ httpd\ -f\ -p\ 80\ -h\ /www
#   bdb4ca3073f508b001f380586521ec86d8265528c7d593488c6c07346e88fb5b
client$ python3 /share/guest/udp.py 10.66.7.21 5600 3000 1 45001
#   0 answer from ('10.66.7.21', 5600) 15 b'got 3000 bytes\n'
client$ python3 /share/guest/udp.py 10.66.7.21 5700 1400 2 45002
#   0 answer from ('10.66.7.21', 5700) 15 b'got 1400 bytes\n'
#   1 answer from ('10.66.7.21', 5700) 15 b'got 1400 bytes\n'
client$ python3 /share/guest/udp.py 10.66.7.21 5702 100 1 45003
#   0 no answer timed out
client$ curl -s --local-port 45011 -o /dev/null -w %\{size_download\}\\n http://10.66.7.21:5701/big
#   30000
client$ curl -s --local-port 45012 -o /dev/null -w %\{size_download\}\\n http://10.66.7.21:5601/big
#   30000
node1$ docker exec small wget -q -O - http://203.0.113.10/
#   <h1>outside</h1>
node1$ docker exec small ping -c 1 -t 1 203.0.113.10
#   PING 203.0.113.10 (203.0.113.10): 56 data bytes
#   
#   --- 203.0.113.10 ping statistics ---
#   1 packets transmitted, 0 packets received, 100% packet loss
node1$ docker exec small traceroute -n -w 1 -m 2 -q 1 203.0.113.10
#   traceroute to 203.0.113.10 (203.0.113.10), 2 hops max, 46 byte packets
#    1  10.44.0.1  0.738 ms
#    2  203.0.113.10  0.420 ms
node1$ docker exec small ping -c 1 -W 2 10.45.0.2
#   PING 10.45.0.2 (10.45.0.2): 56 data bytes
#   
#   --- 10.45.0.2 ping statistics ---
#   1 packets transmitted, 0 packets received, 100% packet loss
node1$ docker exec small ping -c 1 -W 4 10.44.0.77
#   PING 10.44.0.77 (10.44.0.77): 56 data bytes
#   
#   --- 10.44.0.77 ping statistics ---
#   1 packets transmitted, 0 packets received, 100% packet loss
node1$ docker exec small ping -c 1 -W 4 10.66.7.99
#   PING 10.66.7.99 (10.66.7.99): 56 data bytes
#   
#   --- 10.66.7.99 ping statistics ---
#   1 packets transmitted, 0 packets received, 100% packet loss
node1$ docker exec small udpx send 10.66.7.21 5999 20
#   recv: Connection refused
node1$ docker exec small udpx send 203.0.113.10 5999 20
#   recv: Connection refused
node1$ docker exec small udpx send 10.66.7.22 5998 20
#   recv: Connection refused
node1$ ping -c 1 -M do -s 1300 10.44.0.2
#   PING 10.44.0.2 (10.44.0.2) 1300(1328) bytes of data.
#   ping: local error: message too long, mtu=1200
#   
#   --- 10.44.0.2 ping statistics ---
#   1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 1ms
#   
node1$ ping -c 1 -s 1300 10.44.0.2
#   PING 10.44.0.2 (10.44.0.2) 1300(1328) bytes of data.
#   1308 bytes from 10.44.0.2: icmp_seq=1 ttl=64 time=3.87 ms
#   
#   --- 10.44.0.2 ping statistics ---
#   1 packets transmitted, 1 received, 0% packet loss, time 1ms
#   rtt min/avg/max/mdev = 3.873/3.873/3.873/0.000 ms
client$ ping -c 1 -M do -s 1400 10.66.7.21
#   PING 10.66.7.21 (10.66.7.21) 1400(1428) bytes of data.
#   1408 bytes from 10.66.7.21: icmp_seq=1 ttl=64 time=1.55 ms
#   
#   --- 10.66.7.21 ping statistics ---
#   1 packets transmitted, 1 received, 0% packet loss, time 1ms
#   rtt min/avg/max/mdev = 1.550/1.550/1.550/0.000 ms
