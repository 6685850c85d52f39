# scenario S15-publish-many; 'nodeX$' / 'client$' = where it ran; '#' lines = output
node1$ docker network create --subnet 172.31.250.0/24 front
#   6613d5d23b98ff4be8ad61d86df4dba84a05bbba6f9f76bfe77f3da5d36d3adc
node1$ docker run -d --name shop --network front -p 7000-7002:80-82 -p 10.66.7.21:9443:80 -p 127.0.0.1:6060:80 nginx
#   caad429513fcf40d9e3b1fc78665f6694abb1daf24296f3495ac58aa630207b6
node1$ docker run -d --name echo --network front -p 3000:3000/udp -p 3001:3000/udp busybox udpx serve 3000
#   d7959b652c47ad6571515f380bcb50c6856cfd7535cf77aef05479901c686be8
node1$ docker run -d --name auto -P nginx
#   fa7ad22ec61db9515b444c72152ab277d16714c4bc85250f61e207aaedaa9ba0
node1$ docker run -dit --name peer --network front alpine ash
#   31c9055976d685d040792558ae23782462b493e35dee2d13f182b61a536c0909
node1$ docker run -dit --name other alpine ash
#   dcd7ac80e7ec63a80e8207c50240265959ad9a7bd7f02040c09c952d1e65c492
# auto is published at 32768
client$ python3 /share/guest/http.py 10.66.7.21 7000 2 51001
#   0 51001 <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
#   1 51002 <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
client$ python3 /share/guest/http.py 10.66.7.21 7001 1 51011
#   0 error [Errno 111] Connection refused
client$ python3 /share/guest/http.py 10.66.7.21 9443 1 51021
#   0 51021 <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
client$ python3 /share/guest/http.py 10.66.7.21 6060 1 51031
#   0 error [Errno 111] Connection refused
client$ python3 /share/guest/http.py 10.66.7.21 32768 1 51041
#   0 51041 <html><body><h1>Welcome to nginx!</h1>fa7ad22ec61d</body></html>
client$ python3 /share/guest/udp.py 10.66.7.21 3000 100 3 51101
#   0 answer from ('10.66.7.21', 3000) 14 b'got 100 bytes\n'
#   1 answer from ('10.66.7.21', 3000) 14 b'got 100 bytes\n'
#   2 answer from ('10.66.7.21', 3000) 14 b'got 100 bytes\n'
client$ python3 /share/guest/udp.py 10.66.7.21 3001 2500 1 51102
#   0 answer from ('10.66.7.21', 3001) 15 b'got 2500 bytes\n'
client$ python3 /share/guest/udp.py 10.66.7.21 3002 30 1 51103
#   0 no answer timed out
node1$ curl -s http://127.0.0.1:6060/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node1$ curl -s http://127.0.0.1:7000/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node1$ curl -s http://10.66.7.21:9443/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node1$ python3 /share/guest/udp.py 127.0.0.1 3000 50 1 51201
#   0 answer from ('127.0.0.1', 3000) 13 b'got 50 bytes\n'
node1$ python3 /share/guest/udp.py 10.66.7.21 3000 50 1 51202
#   0 answer from ('10.66.7.21', 3000) 13 b'got 50 bytes\n'
node1$ docker exec peer wget -q -O - http://10.66.7.21:7000/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node1$ docker exec peer wget -q -O - http://172.31.250.1:7000/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node1$ docker exec other wget -q -O - http://10.66.7.21:7000/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node1$ docker exec other wget -q -O - -T 2 http://172.31.250.2/
#   /share/guest/lib.sh: line 5:  6465 Segmentation fault      nsenter -t $(pidof_node $n) -n -m -u "$@"
node1$ docker exec peer udpx send 10.66.7.21 3000 40
#   recv: Resource temporarily unavailable
node1$ docker exec shop wget -q -O - http://10.66.7.21:7000/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node2$ curl -s --local-port 51301 http://10.66.7.21:7000/
#   <html><body><h1>Welcome to nginx!</h1>caad429513fc</body></html>
node2$ curl -s -m 3 --local-port 51302 http://172.31.250.2/
client$ ping -c 1 -W 2 172.31.250.2
#   ping: connect: Network is unreachable
