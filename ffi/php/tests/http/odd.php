<?php

declare(strict_types=1);

// A server that is not Stockade: answers each connection's first request as its first
// argument says, and keeps the request in the file that the second names.

[, $how, $file] = $argv;
$server = stream_socket_server('tcp://127.0.0.1:0');
if ($server === false) {
    exit(1);
}
echo stream_socket_get_name($server, false), "\n";

$kept = [];
while (true) {
    $client = stream_socket_accept($server, -1);
    if ($client === false) {
        continue;
    }
    $request = '';
    do {
        $part = (string) fread($client, 1 << 16);
        $request .= $part;
        $head = strpos($request, "\r\n\r\n");
        preg_match('/\r\nContent-Length: (\d+)\r\n/', $request, $length);
        $whole = $head === false ? PHP_INT_MAX : $head + 4 + (int) ($length[1] ?? 0);
    } while ($part !== '' && strlen($request) < $whole);
    file_put_contents($file, $request . "\n", FILE_APPEND);
    [$kind, $rest] = explode(' ', $how, 2) + [1 => ''];
    switch ($kind) {
        case 'silent':
            $kept[] = $client;
            continue 2;
        case 'raw':
            fwrite($client, stripcslashes($rest));
            break;
        case 'half':
            fwrite($client, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Ok\":");
            break;
        case 'huge':
            fwrite($client, "HTTP/1.1 200 OK\r\n\r\n");
            while (@fwrite($client, str_repeat('x', 1 << 20)) > 0) {
                continue;
            }
            break;
        case 'drip':
            fwrite($client, "HTTP/1.1 200 OK\r\n\r\n");
            while (@fwrite($client, ' ') > 0) {
                usleep(20_000);
            }
            break;
        default:
            $length = strlen($rest);
            fwrite($client, "HTTP/1.1 {$kind} Odd\r\nContent-Length: {$length}\r\n\r\n{$rest}");
    }
    fclose($client);
}
