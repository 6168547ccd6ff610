"""A real Kubernetes and the servers beside it, for tests, on one Linux machine.

Four things start here, each a context manager that gives what a test needs and leaves nothing behind:

- ``start_api_server``: etcd and the API server. No root; two seconds.
- ``start_control_plane``: with scheduler, controllers and KWOK, which plays as many nodes as a test wants. No root.
- ``start_cluster``: real nodes: containerd, kubelet, kube-proxy, pods that reach each other by name. Root.
- ``start_s3`` and ``start_fault_proxy``: an S3 server, and a proxy that cuts, slows and truncates.

How several run side by side, and how nothing stays:

**A slot** (``slot``) is a number that one running server has for itself, and with it a folder and addresses that no
other has. So every server listens on its usual port, and nobody looks for a free one.

**Processes die with their parent** (``process``): the kernel kills each of them when the process that started it
ends, whichever way. A node is the first process of a process namespace, so its death takes kubelet, containerd and
every container along, and with the last process go the node's network and mount namespaces: links, routes, iptables
rules and mounts. The host's own have one link more, which ends with its other end.

What the kernel does not remove, a slot's folder and cgroups, the next start does.
"""
