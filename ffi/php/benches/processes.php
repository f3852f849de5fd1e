<?php

declare(strict_types=1);

// Holds of one product by eight processes, each with an engine of its own and
// one call at a time, as php-fpm runs them: with MariaDB and Redis opened by
// each, against through the socket of one `stockade serve --unix`.
//
// Expected: processes that open the servers themselves lead batches of one,
// each with a flush of its own; through the socket they share batches.

use Stockade\Engine;
use Stockade\Tests\Place;
use Stockade\Tests\Running;

const PROCESSES = 8;
const WANTED = 2.0;
const PLENTY = 1 << 40;
// Nothing falls due while it is measured.
const SETTINGS = ['hold_ttl' => '12h'];

/** Opens an engine and holds for as many seconds as each line asks for. */
function work(string $store, string $settings, string $product): void
{
    require_once __DIR__ . '/../autoload.php';
    $engine = Engine::open($store, json_decode($settings, true, 512, JSON_THROW_ON_ERROR));
    $engine->createHold($product, 1);
    echo "ready\n";
    while (($seconds = fgets(STDIN)) !== false) {
        [$held, $start] = [0, hrtime(true)];
        $end = $start + (int) ((float) $seconds * 1e9);
        while (hrtime(true) < $end) {
            $engine->createHold($product, 1);
            $held++;
        }
        printf("%f\n", $held / (hrtime(true) - $start) * 1e9);
    }
}

/**
 * Processes that have opened their engines on one product.
 *
 * @param array<string, string> $settings
 * @return list<array{resource, resource, resource}> of each: itself, its input and its output
 */
function open(string $store, array $settings, int $product): array
{
    $given = (string) json_encode((object) $settings);
    $open = [];
    for ($i = 0; $i < PROCESSES; $i++) {
        $command = [PHP_BINARY, __FILE__, $store, $given, (string) $product];
        $process = proc_open($command, [['pipe', 'r'], ['pipe', 'w']], $pipes);
        if ($process === false) {
            throw new RuntimeException('a process cannot be started');
        }
        $open[] = [$process, ...$pipes];
    }
    foreach ($open as [, , $output]) {
        if (fgets($output) !== "ready\n") {
            throw new RuntimeException('a process could not open its engine');
        }
    }
    return $open;
}

/**
 * Holds a second of all of them together.
 *
 * @param list<array{resource, resource, resource}> $processes
 */
function rate(array $processes, float $seconds): float
{
    foreach ($processes as [, $input]) {
        fwrite($input, "{$seconds}\n");
    }
    $rate = 0.0;
    foreach ($processes as [, , $output]) {
        $line = fgets($output);
        if ($line === false) {
            throw new RuntimeException('a process ended early');
        }
        $rate += (float) $line;
    }
    return $rate;
}

/** @param list<float> $numbers an odd number of them */
function median(array $numbers): float
{
    sort($numbers);
    return $numbers[intdiv(count($numbers), 2)];
}

if ($argc === 4) {
    work($argv[1], $argv[2], $argv[3]);
    exit(0);
}

require_once __DIR__ . '/../tests/bootstrap.php';

[$rounds, $seconds] = in_array('--quick', $argv, true) ? [3, 0.5] : [5, 3.0];
// Each has a database of its own: those that wait for their turn are idle.
$place = Place::servers();
$settings = $place->settings + SETTINGS;
$product = Engine::open($place->store, $settings)->createProduct('Lamp', '19.99', PLENTY)->id;
$direct = open($place->store, $settings, $product);

$place = Place::servers();
$running = new Running((string) getenv('STOCKADE_SERVER'), $place->store, $place->settings + SETTINGS);
$product = Engine::open($running->url)->createProduct('Lamp', '19.99', PLENTY)->id;
$through = open($running->url, [], $product);

$rates = ['direct' => [], 'socket' => []];
$ratios = [];
for ($round = 0; $round < $rounds; $round++) {
    $rates['direct'][] = rate($direct, $seconds);
    $rates['socket'][] = rate($through, $seconds);
    $ratios[] = end($rates['socket']) / end($rates['direct']);
}
foreach ([...$direct, ...$through] as [$process, $input]) {
    fclose($input);
    proc_close($process);
}
foreach ($rates as $way => $all) {
    printf("PHP   %d processes, %s %10s holds/s\n", PROCESSES, $way, number_format(median($all)));
}
$ratio = median($ratios);
printf(
    "%-24s %8.2f      wanted at least %g: %s\n",
    'socket over direct',
    $ratio,
    WANTED,
    $ratio >= WANTED ? 'met' : 'not met'
);
