"""Where rows come from: files of every kind, folders of them, and the hub."""
