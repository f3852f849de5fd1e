<?php

declare(strict_types=1);

namespace Stockade\Tests;

use RuntimeException;

/** As much of a FastCGI client as it takes to make many requests at once. */
final class FastCgi
{
    private const BEGIN = 1;
    private const PARAMS = 4;
    private const STDIN = 5;
    private const STDOUT = 6;

    /**
     * Sends all requests before it reads any answer.
     *
     * @param list<array<string, string>> $requests parameters of each
     * @return list<string> the body of each answer
     */
    public static function all(string $socket, array $requests): array
    {
        $open = [];
        foreach ($requests as $params) {
            $connection = stream_socket_client("unix://{$socket}", $code, $why, 30);
            if ($connection === false) {
                throw new RuntimeException("php-fpm cannot be reached: {$why}");
            }
            $pairs = '';
            foreach ($params as $name => $value) {
                $pairs .= pack('NN', strlen($name) | 0x80000000, strlen($value) | 0x80000000) . $name . $value;
            }
            fwrite($connection, self::record(self::BEGIN, pack('nCx5', 1, 0))
                . self::record(self::PARAMS, $pairs) . self::record(self::PARAMS, '')
                . self::record(self::STDIN, ''));
            $open[] = $connection;
        }
        return array_map(self::body(...), $open);
    }

    private static function record(int $type, string $content): string
    {
        return pack('CCnnCx', 1, $type, 1, strlen($content), 0) . $content;
    }

    /** @param resource $connection */
    private static function body($connection): string
    {
        stream_set_timeout($connection, 60);
        $bytes = (string) stream_get_contents($connection);
        fclose($connection);
        $out = '';
        while (strlen($bytes) >= 8) {
            $head = unpack('Cversion/Ctype/nid/nlength/Cpadding', $bytes);
            if ($head['type'] === self::STDOUT) {
                $out .= substr($bytes, 8, $head['length']);
            }
            $bytes = substr($bytes, 8 + $head['length'] + $head['padding']);
        }
        return explode("\r\n\r\n", $out, 2)[1] ?? $out;
    }
}
