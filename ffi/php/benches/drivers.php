<?php

declare(strict_types=1);

// Holds per second through one running engine's socket file by eight php-fpm workers,
// by the driver http (ext-curl) and by the driver ffi, preloaded. Both in one run, in
// turns; `--quick` runs it in short. STOCKADE_SERVER and STOCKADE_LIBRARY name what is
// measured: builds with optimisations, or the figures say nothing.
//
// Expected: a call is one round trip for both. http opens a connection in each request
// of PHP, where ffi keeps the worker's; ffi wakes a thread of the library for each call,
// where libcurl waits in the worker's own. So http wins by calls and loses by requests.

use Stockade\ClientFactory;
use Stockade\Native\Library;
use Stockade\Tests\FastCgi;
use Stockade\Tests\Fpm;
use Stockade\Tests\Running;

require_once __DIR__ . '/../autoload.php';
foreach (['FastCgi', 'Fpm', 'Running'] as $class) {
    require_once __DIR__ . "/../tests/{$class}.php";
}

const WORKERS = 8;
const WANTED = 0.8;
const PLENTY = 1 << 40;
/** Calls of one request of PHP: one, as many as a checkout has, and so many that connecting costs nothing. */
const CALLS = [1, 3, 100];

[$rounds, $seconds] = in_array('--quick', $argv, true) ? [3, 0.5] : [9, 2.0];

$running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:', ['hold_ttl' => '12h']);
$product = ClientFactory::connect($running->url)->createProduct('Ticket', '1', PLENTY)->id;
$header = (string) tempnam(sys_get_temp_dir(), 'stockade');
file_put_contents($header, Library::preloadHeader());
$opcache = ['opcache.enable' => '1'];
$pools = [
    'http' => new Fpm(WORKERS, $opcache + ['ffi.enable' => '0']),
    'ffi' => new Fpm(WORKERS, $opcache + [
        'opcache.preload' => dirname(__DIR__) . '/preload.php',
        'ffi.preload' => $header,
        'ffi.enable' => 'preload',
    ]),
];

/** Calls per second of one driver in one round. */
$measure = static function (string $driver, int $calls, float $seconds) use ($pools, $running, $product): float {
    $request = [
        'SCRIPT_FILENAME' => __DIR__ . '/fpm/hold.php',
        'REQUEST_METHOD' => 'GET',
        'STOCKADE_STORE' => $running->url,
        'STOCKADE_DRIVER' => $driver,
        'STOCKADE_PRODUCT' => (string) $product,
        'STOCKADE_CALLS' => (string) $calls,
    ];
    // Enough to wait in the queue that no worker is idle.
    $batch = array_fill(0, WORKERS * ($calls > 10 ? 2 : 16), $request);
    [$done, $start] = [0, hrtime(true)];
    do {
        foreach (FastCgi::all($pools[$driver]->socket, $batch) as $body) {
            if ($body !== 'held') {
                throw new RuntimeException($body . $pools[$driver]->log());
            }
            $done += $calls;
        }
        $elapsed = (hrtime(true) - $start) / 1e9;
    } while ($elapsed < $seconds);
    return $done / $elapsed;
};
$median = static function (array $figures): float {
    sort($figures);
    return $figures[intdiv(count($figures), 2)];
};

printf("%d php-fpm workers, PHP %s, libcurl %s\n", WORKERS, PHP_VERSION, curl_version()['version']);
foreach (CALLS as $calls) {
    $figures = ['http' => [], 'ffi' => []];
    foreach (array_keys($figures) as $driver) {
        $measure($driver, $calls, $seconds / 4);
    }
    for ($round = 0; $round < $rounds; $round++) {
        foreach (array_keys($figures) as $driver) {
            $figures[$driver][] = $measure($driver, $calls, $seconds);
        }
    }
    [$http, $ffi] = [$median($figures['http']), $median($figures['ffi'])];
    printf(
        "%3d calls a request: http %8.0f/s  ffi %8.0f/s  http/ffi %.2f   wanted %.1f: %s\n",
        $calls,
        $http,
        $ffi,
        $http / $ffi,
        WANTED,
        $http / $ffi >= WANTED ? 'met' : 'not met'
    );
}
unlink($header);
