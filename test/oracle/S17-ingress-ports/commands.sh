# scenario S17-ingress-ports; 'nodeX$' / 'client$' = where it ran; '#' lines = output
node1$ docker service create --detach --no-resolve-image --stop-grace-period 1s --name portal --publish published=31080\,target=80 --publish published=31081\,target=81 --publish published=31053\,target=5300\,protocol=udp --replicas 4 --constraint node.hostname==node1 nginx sh -c udpx\ serve\ 5300\ \&\ /serve
#   8i0legvovni6bbz3w3hetvn9e
node1$ docker service create --detach --no-resolve-image --stop-grace-period 1s --name solo --publish published=32000\,target=7777\,protocol=tcp --replicas 1 --env PORT=7777 nginx
#   s14p91zgwwhh9f6qkaxz35kcq
client$ python3 /share/guest/http.py 10.66.7.21 31080 5 41001
#   0 41001 <html><body><h1>Welcome to nginx!</h1>2c7480d92b2b</body></html>
#   1 41002 <html><body><h1>Welcome to nginx!</h1>3a569cb680c9</body></html>
#   2 41003 <html><body><h1>Welcome to nginx!</h1>1ff8cc19ed1c</body></html>
#   3 41004 <html><body><h1>Welcome to nginx!</h1>809dc9e7cdb3</body></html>
#   4 41005 <html><body><h1>Welcome to nginx!</h1>2c7480d92b2b</body></html>
client$ python3 /share/guest/http.py 10.66.7.22 31080 5 41101
#   0 41101 <html><body><h1>Welcome to nginx!</h1>3a569cb680c9</body></html>
#   1 41102 <html><body><h1>Welcome to nginx!</h1>2c7480d92b2b</body></html>
#   2 41103 <html><body><h1>Welcome to nginx!</h1>1ff8cc19ed1c</body></html>
#   3 41104 <html><body><h1>Welcome to nginx!</h1>809dc9e7cdb3</body></html>
#   4 41105 <html><body><h1>Welcome to nginx!</h1>3a569cb680c9</body></html>
client$ python3 /share/guest/http.py 10.66.7.22 31081 2 41201
#   0 error [Errno 111] Connection refused
#   1 error [Errno 111] Connection refused
client$ python3 /share/guest/udp.py 10.66.7.22 31053 80 2 41301
#   0 answer from ('10.66.7.22', 31053) 13 b'got 80 bytes\n'
#   1 answer from ('10.66.7.22', 31053) 13 b'got 80 bytes\n'
client$ python3 /share/guest/udp.py 10.66.7.22 31053 80 2 41302
#   0 answer from ('10.66.7.22', 31053) 13 b'got 80 bytes\n'
#   1 answer from ('10.66.7.22', 31053) 13 b'got 80 bytes\n'
client$ python3 /share/guest/udp.py 10.66.7.22 31053 80 2 41303
#   0 answer from ('10.66.7.22', 31053) 13 b'got 80 bytes\n'
#   1 answer from ('10.66.7.22', 31053) 13 b'got 80 bytes\n'
client$ python3 /share/guest/udp.py 10.66.7.21 31053 3500 1 41310
#   0 answer from ('10.66.7.21', 31053) 15 b'got 3500 bytes\n'
client$ python3 /share/guest/http.py 10.66.7.22 32000 2 41401
#   0 41401 <html><body><h1>Welcome to nginx!</h1>dbe424005495</body></html>
#   1 41402 <html><body><h1>Welcome to nginx!</h1>dbe424005495</body></html>
client$ python3 /share/guest/http.py 10.66.7.22 32001 1 41402
#   0 error [Errno 111] Connection refused
node2$ curl -s http://127.0.0.1:31080/
#   <html><body><h1>Welcome to nginx!</h1>1ff8cc19ed1c</body></html>
node2$ curl -s http://10.66.7.22:32000/
#   <html><body><h1>Welcome to nginx!</h1>dbe424005495</body></html>
node2$ curl -s --local-port 41501 http://10.66.7.21:31080/
#   <html><body><h1>Welcome to nginx!</h1>1ff8cc19ed1c</body></html>
node1$ python3 /share/guest/udp.py 10.66.7.22 31053 40 1 41502
#   0 answer from ('10.66.7.22', 31053) 13 b'got 40 bytes\n'
node1$ docker exec 1ff8cc19ed1c5aa67e75c5850f8caa07fbc75230acf1eeb3d562aa31148378d6 wget -q -O - http://10.66.7.21:31080/
#   <html><body><h1>Welcome to nginx!</h1>809dc9e7cdb3</body></html>
node1$ docker exec 1ff8cc19ed1c5aa67e75c5850f8caa07fbc75230acf1eeb3d562aa31148378d6 wget -q -O - http://10.66.7.22:32000/
#   <html><body><h1>Welcome to nginx!</h1>dbe424005495</body></html>
