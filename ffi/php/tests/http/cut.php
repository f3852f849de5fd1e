<?php

declare(strict_types=1);

// A proxy that loses responses: arguments are where it listens, whom it asks, a text,
// and how many times it closes both connections instead of passing that text back. With
// a PEM file of certificate and key it ends TLS.

[, $listen, $target, $marker, $cuts] = $argv;
$context = stream_context_create(['ssl' => ['local_cert' => $argv[5] ?? '']]);
$server = stream_socket_server($listen, $code, $why, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
if ($server === false) {
    exit(1);
}
echo stream_socket_get_name($server, false), "\n";

$peers = [];
$close = static function (int $id) use (&$peers): void {
    foreach ([$id, isset($peers[$id]) ? (int) $peers[$id][1] : 0] as $end) {
        if (isset($peers[$end])) {
            fclose($peers[$end][0]);
            unset($peers[$end]);
        }
    }
};
while (true) {
    $read = [$server, ...array_column($peers, 0)];
    $write = $except = null;
    if (!stream_select($read, $write, $except, null)) {
        continue;
    }
    foreach ($read as $stream) {
        if ($stream === $server) {
            $client = @stream_socket_accept($server);
            $engine = @stream_socket_client($target);
            if ($client === false || $engine === false) {
                continue;
            }
            stream_set_blocking($client, false);
            stream_set_blocking($engine, false);
            $peers[(int) $client] = [$client, $engine, false];
            $peers[(int) $engine] = [$engine, $client, true];
            continue;
        }
        $id = (int) $stream;
        if (!isset($peers[$id])) {
            continue;
        }
        $bytes = (string) fread($stream, 1 << 16);
        $isLost = $peers[$id][2] && $cuts > 0 && str_contains($bytes, $marker);
        if ($isLost) {
            $cuts--;
        }
        if ($isLost || ($bytes === '' && feof($stream))) {
            $close($id);
            continue;
        }
        fwrite($peers[$id][1], $bytes);
    }
}
