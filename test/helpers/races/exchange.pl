# Exchanges two names as fast as it can until it is ended: perl exchange.pl <name> <other name>
# renameat2 with RENAME_EXCHANGE leaves no moment at which a name does not exist.
use strict;
my ($one, $other) = @ARGV;
my %number = (x86_64 => 316, aarch64 => 276);
my $renameat2 = $number{ (split ' ', `uname -m`)[0] } or die "unknown machine";
syscall($renameat2, -100, $one, -100, $other, 2) == 0 or die "renameat2: $!";
$| = 1;
print "exchanging\n";
while (1) { syscall($renameat2, -100, $one, -100, $other, 2) }
